/** Questions to a latency table. Loads no runtime: only the table and the space that it carries. */
import type { Architecture } from '../space/architecture.js';
import type { Coverage, CoverageFunction } from '../space/coverage.js';
import type { Gene } from '../space/gene.js';
import type { Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { fitPredictor } from './crossValidation.js';
import { lookUpBlocks } from './context.js';
import type { PredictorContext } from './context.js';
import { missingBlocks, sumsBlocks, tableCoverage } from './coverage.js';
import { blockLookup, knownExamples, predictorOf, tableContext } from './fitted.js';
import type { LatencyPredictor } from './predictor.js';
import { applicablePredictors, latencyPredictorByName } from './predictors.js';
import type { ImportedTable } from './imported.js';
import { readTableForQueries, sameBlocks, tableEntry, tableSpace, type QueriedTable } from './table.js';

export { knownExamples, tableContext, tableExamples } from './fitted.js';

const WORDS_FOR_NEEDS = {
  table: ' and a table of blocks',
  sources: ' and tables of other devices ("ofa measure --few-shot")',
  nothing: '',
} as const;

export interface LatencyAnswer {
  readonly latencyMs: number;
  /** Covers 90 % of networks; null where no whole subnet was measured. */
  readonly intervalMs: readonly [number, number] | null;
  /** Name of the predictor. */
  readonly method: string;
  readonly device: string;
}

/** Answers from one table; the predictor is the table's, or fitted on its `fit` subnets once. */
export class LatencyQuery<Table extends QueriedTable | ImportedTable = QueriedTable | ImportedTable> {
  readonly space: SearchSpace;
  readonly predictor: LatencyPredictor;
  readonly #context: PredictorContext;
  /** By JSON of the genes: a command searches the same space again and again. */
  readonly #coverages = new Map<string, Coverage>();

  /** `method`: name of a predictor; default the best by cross-validation. Throws UserError where it cannot be fitted. */
  constructor(
    readonly table: Table,
    method?: string,
  ) {
    this.space = tableSpace(table);
    const context = (this.#context = tableContext(table, this.space));
    if (method === undefined) {
      this.predictor = predictorOf(table, context);
      return;
    }
    const examples = knownExamples(table, 'fit');
    const definition = latencyPredictorByName(method);
    if (!applicablePredictors(examples, context).includes(definition)) {
      throw new UserError(
        `Cannot predict latency by "${method}": it needs ${definition.minExamples} measured subnets${WORDS_FOR_NEEDS[definition.needs[0] ?? 'nothing']}: ` +
          `the table has ${examples.length} subnets and ${Object.keys(table.entries).length} blocks`,
      );
    }
    this.predictor = fitPredictor(definition, examples, context);
  }

  /** Throws UserError where the table lacks a block, RangeError for an architecture outside its space. */
  architecture(arch: Architecture): LatencyAnswer {
    const { latencyMs, intervalMs } = this.predictor.predict(arch);
    return { latencyMs, intervalMs, method: this.predictor.name, device: this.table.device.name };
  }

  /**
   * How many blocks of a network keep `architecture` from an answer: 0 where there is one, all of them at an image size that
   * the table does not have. Throws RangeError for an architecture that is outside its space otherwise.
   */
  lacks(arch: Architecture): number {
    const sizes = this.space.parameters.imageSizes;
    if (!sizes.includes(arch.imageSize))
      return this.space.network({ ...arch, imageSize: sizes[0]! }).blocks.length;
    return sumsBlocks(this.predictor.name) ? missingBlocks(this.table, this.#context, arch) : 0;
  }

  /**
   * Of `genes` (those of a space that `checkSpace` accepts, or some of their values) what `architecture` answers. Throws
   * UserError where that is nothing.
   */
  coverage(genes: readonly Gene[]): Coverage {
    const key = JSON.stringify(genes);
    let coverage = this.#coverages.get(key);
    if (coverage === undefined) {
      coverage = tableCoverage(this.table, this.#context, this.predictor.name, genes);
      this.#coverages.set(key, coverage);
    }
    return coverage;
  }

  /**
   * The table's sum over a network that need not be in its space, e.g. one that somebody else specialised. Throws
   * UserError where the table lacks a block or the image size.
   */
  network(network: Network): LatencyAnswer {
    const blocksMs = lookUpBlocks(network, blockLookup(this.table));
    const latencyMs = blocksMs.reduce((sum, ms) => sum + ms, 0);
    return { latencyMs, intervalMs: null, method: 'table', device: this.table.device.name };
  }

  /** A block's latency by key, as it was measured; see `tableEntry`, which gives all that a table has of it. */
  block(key: string, imageSize?: number): { readonly latencyMs: number } {
    return tableEntry(this.table, key, imageSize);
  }

  /**
   * Throws UserError where networks of `space` are not those that the table is for (another width, other classes or
   * layers): its answers would be about other networks.
   */
  checkSpace(space: SearchSpace): void {
    const own = this.table.space;
    if (sameBlocks(own, space.file)) return;
    const words = ({ name, width, classes }: typeof own): string =>
      `"${name}" of width ${width} with ${classes} classes`;
    throw new UserError(
      `Cannot use the latency table of device "${this.table.device.name}": it must be for space ${words(space.file)}: it is for ${words(own)}`,
    );
  }
}

/** Of a table, for searches: they stay within its `coverage`. */
export interface LatencyFunction {
  /** In ms, in order; Infinity for networks of which the table lacks the image size or a block. */
  (archs: readonly Architecture[]): number[];
  readonly coverage: CoverageFunction;
}

/** Throws RangeError for an architecture that is outside the table's space for another reason than its image size. */
export function latencyFunction(query: LatencyQuery): LatencyFunction {
  const evaluate = (archs: readonly Architecture[]): number[] =>
    archs.map((arch) =>
      query.lacks(arch) === 0 ? query.architecture(arch).latencyMs : Number.POSITIVE_INFINITY,
    );
  return Object.assign(evaluate, { coverage: (genes: readonly Gene[]) => query.coverage(genes) });
}

/** Throws UserError for a missing or damaged table. */
export async function openLatencyTable(path: string, method?: string): Promise<LatencyQuery> {
  return new LatencyQuery(await readTableForQueries(path), method);
}
