/** What of a space a latency table can answer: one that was imported may lack image sizes, any may lack blocks. */
import type { Architecture } from '../space/architecture.js';
import { coveredGenes, droppedValues, type Coverage } from '../space/coverage.js';
import type { Gene } from '../space/gene.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { distinctBlocks } from './blocks.js';
import type { PredictorContext } from './context.js';
import { latencyPredictors } from './predictors.js';
import { hasEntry, type QueriedTable } from './table.js';
import type { ImportedTable } from './imported.js';

/** Whether a predictor of that name sums blocks of the table, and so cannot do without one. */
export const sumsBlocks = (predictor: string): boolean =>
  latencyPredictors.get(predictor)?.needs.includes('table') ?? false;

/** Blocks of the network that the table lacks; all of them at an image size that its space does not have. */
export function missingBlocks(
  table: QueriedTable | ImportedTable,
  context: PredictorContext,
  arch: Architecture,
): number {
  const { network } = context.facts(arch);
  return network.blocks.filter(({ key }) => !hasEntry(table, key, arch.imageSize)).length;
}

/** Of all networks of the genes; by image size, in the form `image size 24: KEY`. */
function allMissing(
  table: QueriedTable | ImportedTable,
  space: SearchSpace,
  genes: readonly Gene[],
): { readonly key: string; readonly imageSize: number }[] {
  const { choices } = genes.find(({ list }) => list === 'imageSize')!;
  return choices.flatMap((imageSize) =>
    distinctBlocks(space, [imageSize], genes)
      .filter(({ key }) => !hasEntry(table, key, imageSize))
      .map(({ key }) => ({ key, imageSize })),
  );
}

/**
 * Of `genes` (of a space that `LatencyQuery.checkSpace` accepts) what the table answers by the predictor of this name. Throws
 * UserError where that is nothing.
 */
export function tableCoverage(
  table: QueriedTable | ImportedTable,
  context: PredictorContext,
  predictor: string,
  genes: readonly Gene[],
): Coverage {
  const { space } = context;
  const named = `the latency table of device "${table.device.name}"`;
  const nothing = (wanted: string, has: string): UserError =>
    new UserError(
      `Cannot search space "${space.name}" by ${named}: ${wanted}: ${has}; measure or import what is missing, or search another part of the space`,
    );
  const offered = genes.map((gene, i) => ({
    ...gene,
    choices: gene.choices.filter((choice) => space.genes[i]!.choices.includes(choice)),
  }));
  const empty = offered.findIndex(({ choices }) => choices.length === 0);
  if (empty >= 0) {
    const words = droppedValues(genes, offered).join('; ');
    throw nothing(`it must answer for some of ${words}`, `it has ${space.genes[empty]!.choices.join(', ')}`);
  }
  const leftOut = (kept: readonly Gene[], also: readonly string[] = []): Pick<Coverage, 'leftOut'> => {
    const words = [...droppedValues(genes, kept), ...also];
    return words.length === 0
      ? {}
      : { leftOut: `${named[0]!.toUpperCase()}${named.slice(1)} leaves out: ${words.join('; ')}` };
  };
  const missing = sumsBlocks(predictor) ? allMissing(table, space, offered) : [];
  if (missing.length === 0) return { genes: offered, ...leftOut(offered) };
  const lacks = (arch: Architecture): number => missingBlocks(table, context, arch);
  const kept = coveredGenes(offered, lacks);
  if (kept === undefined) {
    const { key, imageSize } = missing[0]!;
    throw nothing(
      'it must have all blocks of at least one network',
      `it lacks ${missing.length}, e.g. "${key}" at image size ${imageSize}`,
    );
  }
  const others = allMissing(table, space, kept);
  if (others.length === 0) return { genes: kept, ...leftOut(kept) };
  const count = `${others.length} ${others.length === 1 ? 'block' : 'blocks'}`;
  const some = `networks with any of ${count} that it lacks, e.g. "${others[0]!.key}" at image size ${others[0]!.imageSize}`;
  return { genes: kept, lacks, ...leftOut(kept, [some]) };
}
