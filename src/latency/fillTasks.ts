/** What is to be measured for a latency table: blocks, what is around them, whole subnets; each with its place in the table. */
import type { ModelToMeasure } from '../device/measure.js';
import type { LatencyMeasurement } from '../device/measurement.js';
import type { DeviceProfile } from '../device/profile.js';
import { fromFile, toFile, type Architecture, type ArchitectureFile } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { limitGenes } from '../space/limits.js';
import type { BlockSpec, ImageShape } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import { isFirst, shapeKey, withoutContext } from './blockContext.js';
import { tableContext } from './fitted.js';
import { blockInContextModel, contextModel, randomNetworkModel } from './models.js';
import { chooseInformativeSubnets, chooseSubnets, type SubnetRole, type WholeSubnet } from './subnets.js';
import type { MeasuredTable } from './table.js';

type Onnx = Uint8Array | Promise<Uint8Array>;

/** What a table is to hold. */
export interface TableContent {
  readonly space: SearchSpace;
  readonly device: DeviceProfile;
  /** ONNX of one block at the device's batch size, static shapes, small output. Default: `blockInContextModel`. */
  readonly buildModel?: (block: BlockSpec) => Onnx;
  /** ONNX of what `buildModel` puts around blocks that take a shape; without it, `buildModel` gives bare blocks. Default: `contextModel`. */
  readonly buildContext?: (shape: ImageShape) => Onnx;
  /** ONNX of a whole subnet, likewise. Default: `randomNetworkModel`. */
  readonly buildNetwork?: (arch: Architecture) => Onnx;
  /** How many whole subnets to have in the table. Default: none. */
  readonly wholeSubnets?: Readonly<Record<SubnetRole, number>>;
  readonly seed?: number;
}

/** A model to measure and where its result goes. */
export interface Task {
  readonly model: ModelToMeasure;
  /** What the table has of it. */
  current(table: MeasuredTable): LatencyMeasurement | undefined;
  keep(table: MeasuredTable, measurement: LatencyMeasurement): void;
}

/** How blocks are timed: bare, or between the layers of a context that is timed alone, too. */
export interface BlockModels {
  readonly block: (block: BlockSpec) => Onnx;
  readonly context?: (shape: ImageShape) => Onnx;
}

/** Of the content, or the default ones; bare where the content builds blocks and no context. */
export function blockModels({ space, device, buildModel, buildContext }: TableContent): BlockModels {
  if (buildModel === undefined) {
    const { inputChannels } = space.file;
    return {
      block: (block) => blockInContextModel(block, inputChannels, device.batch),
      context: buildContext ?? ((shape) => contextModel(shape, device.batch)),
    };
  }
  return { block: buildModel, ...(buildContext === undefined ? {} : { context: buildContext }) };
}

/** Whether a block is timed in a context. First blocks are not: they take images, and have no layer before them to share a layout with. */
export const hasContext = (block: BlockSpec, { space }: TableContent, models: BlockModels): boolean =>
  models.context !== undefined && !isFirst(block, space.file.inputChannels);

/** One for each shape that a block takes. */
export function contextTasks(
  content: TableContent,
  blocks: readonly BlockSpec[],
  models: BlockModels,
): Task[] {
  const shapes = new Map(
    blocks.filter((block) => hasContext(block, content, models)).map(({ input }) => [shapeKey(input), input]),
  );
  return [...shapes].map(([key, shape]) => ({
    model: { id: `context ${key}`, onnx: () => models.context!(shape) },
    current: ({ contexts }) => (Object.hasOwn(contexts, key) ? contexts[key] : undefined),
    keep: ({ contexts }, measurement) => {
      contexts[key] = measurement;
    },
  }));
}

/** For blocks whose context is in the table, if they have one. */
export function blockTasks(
  content: TableContent,
  table: MeasuredTable,
  blocks: readonly BlockSpec[],
  models: BlockModels,
): Task[] {
  return blocks
    .filter(
      (block) => !hasContext(block, content, models) || Object.hasOwn(table.contexts, shapeKey(block.input)),
    )
    .map((block) => ({
      model: { id: block.key, onnx: () => models.block(block) },
      current: ({ entries }) => (Object.hasOwn(entries, block.key) ? entries[block.key] : undefined),
      keep: ({ entries, contexts }, measurement) => {
        entries[block.key] = hasContext(block, content, models)
          ? withoutContext(measurement, contexts[shapeKey(block.input)]!)
          : measurement;
      },
    }));
}

/** Subnets of the table and those that are wanted beside them. */
export function wantedSubnets(
  content: TableContent,
  table: MeasuredTable,
  sizes: readonly number[],
): WholeSubnet[] {
  const { space, wholeSubnets = { fit: 0, check: 0 }, seed = 0 } = content;
  const name = (arch: Architecture): string => architectureKey(space.genes, arch);
  const genes = limitGenes(space.genes, { imageSize: sizes });
  const byName = new Map(
    table.wholeSubnets.map(({ architecture: file, role }): [string, WholeSubnet] => {
      const architecture = fromFile(file);
      return [name(architecture), { architecture, role }];
    }),
  );
  const known = [...byName.values()];
  const missing: Record<SubnetRole, number> = { ...wholeSubnets };
  for (const { role } of known) missing[role]--;
  // Those of the table take the first places of the same sequence, or come from another seed: either way new ones are added.
  const spread = chooseSubnets(
    genes,
    { fit: wholeSubnets.fit + known.length, check: wholeSubnets.check + known.length },
    seed,
  );
  const checks = spread.filter(({ role }) => role === 'check');
  const informative = (): WholeSubnet[] =>
    chooseInformativeSubnets(
      genes,
      tableContext(table, space),
      wholeSubnets.fit + known.length,
      seed,
      new Set(checks.map(({ architecture }) => name(architecture))),
    ).map((architecture) => ({ architecture, role: 'fit' }));
  const fits =
    table.sources.length > 0 && missing.fit > 0 ? informative() : spread.filter(({ role }) => role === 'fit');
  const added = [...checks, ...fits].filter(
    ({ architecture, role }) => !byName.has(name(architecture)) && missing[role]-- > 0,
  );
  return [...known, ...added];
}

/** For those of the subnets that were measured in all passes before `pass`, which counts from 0. */
export function subnetTasks(
  { space, device, buildNetwork = (arch) => randomNetworkModel(space, arch, device.batch) }: TableContent,
  table: MeasuredTable,
  subnets: readonly WholeSubnet[],
  pass: number,
): Task[] {
  const name = (arch: Architecture): string => architectureKey(space.genes, arch);
  // Every task looks through the whole list, again and again.
  const names = new WeakMap<ArchitectureFile, string>();
  const nameInFile = (file: ArchitectureFile): string => {
    const known = names.get(file) ?? name(fromFile(file));
    names.set(file, known);
    return known;
  };
  return subnets.flatMap(({ architecture, role }) => {
    const own = name(architecture);
    const places = ({ wholeSubnets: list }: MeasuredTable): number[] =>
      [...list.keys()].filter((i) => nameInFile(list[i]!.architecture) === own);
    if (places(table).length < pass) return [];
    return {
      model: {
        id: `subnet ${own}${pass === 0 ? '' : ` (${pass + 1})`}`,
        onnx: () => buildNetwork(architecture),
      },
      current: (now) => now.wholeSubnets[places(now)[pass] ?? -1],
      keep: (now, measurement) => {
        const at = places(now)[pass];
        const entry = { architecture: toFile(architecture), role, ...measurement };
        if (at === undefined) now.wholeSubnets.push(entry);
        else now.wholeSubnets[at] = entry;
      },
    };
  });
}
