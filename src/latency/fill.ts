/** Fills a latency table: measures what it lacks, keeps every result at once, can be stopped at any instant. */
import { measureOver, type ModelToMeasure } from '../device/measure.js';
import type { LatencyMeasurement } from '../device/measurement.js';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import type { DeviceConnection } from '../device/transport.js';
import { connectDevice } from '../device/transports.js';
import { fromFile, toFile, type Architecture } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { limitGenes } from '../space/limits.js';
import type { BlockSpec } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import type { Logger } from '../util/logger.js';
import { createRandom } from '../util/random.js';
import { distinctBlocks } from './blocks.js';
import { randomBlockModel, randomNetworkModel } from './models.js';
import { chooseSubnets, type SubnetRole, type WholeSubnet } from './subnets.js';
import {
  checkSameConditions,
  emptyTable,
  measuredTable,
  readTableIfThere,
  writeTable,
  type MeasuredTable,
} from './table.js';

export interface FillRequest {
  /** The table's file; see `tablePath` for where it is looked for by default. */
  readonly path: string;
  readonly space: SearchSpace;
  readonly device: DeviceProfile;
  readonly protocol: Protocol;
  /** ONNX of one block at the device's batch size, static shapes, small output. Default: `randomBlockModel`. */
  readonly buildModel?: (block: BlockSpec) => Uint8Array | Promise<Uint8Array>;
  /** ONNX of a whole subnet, likewise. Default: `randomNetworkModel`. */
  readonly buildNetwork?: (arch: Architecture) => Uint8Array | Promise<Uint8Array>;
  /** Default: all of the space's. */
  readonly imageSizes?: readonly number[];
  /** How many whole subnets to have in the table. Default: none. */
  readonly wholeSubnets?: Readonly<Record<SubnetRole, number>>;
  /** False to measure whole subnets only, for predictors without a table. */
  readonly blocks?: boolean;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
  /** An open connection to `device`; default: one is opened and closed. */
  readonly connection?: DeviceConnection;
}

export interface FillResult {
  readonly table: MeasuredTable;
  /** Blocks and subnets measured by this call. */
  readonly measured: number;
  /** What could not be measured, and why. */
  readonly failures: ReadonlyMap<string, string>;
}

/** A model to measure and where its result goes. */
interface Task {
  readonly model: ModelToMeasure;
  keep(table: MeasuredTable, measurement: LatencyMeasurement): void;
}

function blockTasks(request: FillRequest, table: MeasuredTable, sizes: readonly number[]): Task[] {
  if (request.blocks === false) return [];
  const { batch } = request.device;
  const { buildModel = (block: BlockSpec) => randomBlockModel(block, batch) } = request;
  return distinctBlocks(request.space, sizes)
    .filter(({ key }) => !Object.hasOwn(table.entries, key))
    .map((block) => ({
      model: { id: block.key, onnx: () => buildModel(block) },
      keep: ({ entries }, measurement) => {
        entries[block.key] = measurement;
      },
    }));
}

function subnetTasks(request: FillRequest, table: MeasuredTable, sizes: readonly number[]): Task[] {
  const { space, device, wholeSubnets = { fit: 0, check: 0 }, seed = 0 } = request;
  const { buildNetwork = (arch: Architecture) => randomNetworkModel(space, arch, device.batch) } = request;
  const name = (arch: Architecture): string => architectureKey(space.genes, arch);
  const known = new Set(table.wholeSubnets.map(({ architecture }) => name(fromFile(architecture))));
  const missing: Record<SubnetRole, number> = { ...wholeSubnets };
  for (const { role } of table.wholeSubnets) missing[role]--;
  // Those of the table take the first places of the same sequence, or come from another seed: either way new ones are added.
  const wanted: WholeSubnet[] = chooseSubnets(
    limitGenes(space.genes, { imageSize: sizes }),
    { fit: wholeSubnets.fit + known.size, check: wholeSubnets.check + known.size },
    seed,
  );
  return wanted
    .filter(({ architecture, role }) => !known.has(name(architecture)) && missing[role]-- > 0)
    .map(({ architecture, role }) => ({
      model: { id: `subnet ${name(architecture)}`, onnx: () => buildNetwork(architecture) },
      keep: ({ wholeSubnets: list }, measurement) => {
        list.push({ architecture: toFile(architecture), role, ...measurement });
      },
    }));
}

async function fillOver(connection: DeviceConnection, request: FillRequest): Promise<FillResult> {
  const { path, space, device, protocol, seed = 0, imageSizes = space.parameters.imageSizes } = request;
  const fresh = emptyTable(device, connection.fingerprint, protocol, space.file);
  const table = measuredTable((await readTableIfThere(path)) ?? fresh, path);
  checkSameConditions(table, fresh, path);
  const sizes = [...new Set([...table.space.imageSizes, ...space.file.imageSizes])].sort((a, b) => a - b);
  table.space = { ...table.space, imageSizes: sizes };

  // Blocks and subnets mixed: what changes slowly on the machine must not fall on one kind only.
  const tasks = createRandom(seed, 'order of measuring').shuffle([
    ...blockTasks(request, table, imageSizes),
    ...subnetTasks(request, table, imageSizes),
  ]);
  const byId = new Map(tasks.map((task) => [task.model.id, task]));
  const failures = new Map<string, string>();
  await writeTable(path, table);
  const results = await measureOver(
    connection,
    device,
    tasks.map(({ model }) => model),
    protocol,
    {
      seed,
      label: `measure ${space.name} on ${device.name}`,
      ...(request.signal ? { signal: request.signal } : {}),
      ...(request.logger ? { logger: request.logger } : {}),
      onResult: async (id, measurement) => {
        byId.get(id)!.keep(table, measurement);
        await writeTable(path, table);
      },
      onFailure: (id, reason) => void failures.set(id, reason),
    },
  );
  return { table, measured: results.size, failures };
}

/**
 * Measures the blocks of a space, and whole subnets, that the table at `path` does not have yet. Call it again to go on
 * after an interruption. Throws InterruptedError after `signal` aborted (all finished entries are in the file), UserError
 * for a table of another device, protocol or space, and for a device that cannot be used.
 */
export async function fillTable(request: FillRequest): Promise<FillResult> {
  if (request.connection !== undefined) return fillOver(request.connection, request);
  const connection = await connectDevice(request.device, request.logger);
  try {
    return await fillOver(connection, request);
  } finally {
    await connection.close();
  }
}
