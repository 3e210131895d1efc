/** Fills a latency table: measures what it lacks, keeps every result at once, can be stopped at any instant. */
import { measureOver } from '../device/measure.js';
import type { LatencyMeasurement } from '../device/measurement.js';
import type { Protocol } from '../device/protocol.js';
import { driftTolerance } from '../device/statistics.js';
import type { DeviceConnection } from '../device/transport.js';
import { connectDevice } from '../device/transports.js';
import { withFileLock } from '../util/lock.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { createRandom } from '../util/random.js';
import { shapeKey } from './blockContext.js';
import { distinctBlocks } from './blocks.js';
import { driftOf, flagged, hasDrifted, speedOf, steadier, usualSentinelMs } from './drift.js';
import {
  blockModels,
  blockTasks,
  contextTasks,
  hasContext,
  subnetTasks,
  wantedSubnets,
  type TableContent,
  type Task,
} from './fillTasks.js';
import { keepPredictor } from './fitted.js';
import {
  checkSameConditions,
  emptyTable,
  measuredTable,
  readTableIfThere,
  writeTable,
  type MeasuredTable,
} from './table.js';
import type { TransferSource } from './transferSource.js';

export interface FillRequest extends TableContent {
  /** The table's file; see `tablePath` for where it is looked for by default. */
  readonly path: string;
  readonly protocol: Protocol;
  /** Default: all of the space's. */
  readonly imageSizes?: readonly number[];
  /**
   * In how many jobs each whole subnet is measured, all subnets in each: what a machine is like for one network differs
   * from minute to minute (decision 0022). Default: 1.
   */
  readonly subnetPasses?: number;
  /** False to measure whole subnets only, for predictors without a table. */
  readonly blocks?: boolean;
  /** What is known of other devices. Then those subnets are measured to fit that say most beside it. */
  readonly sources?: readonly TransferSource[];
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
  /** An open connection to `device`; default: one is opened and closed. */
  readonly connection?: DeviceConnection;
}

export interface FillResult {
  readonly table: MeasuredTable;
  /** Blocks, their contexts and subnets measured by this call, those measured again counted again. */
  readonly measured: number;
  /** What could not be measured, and why. */
  readonly failures: ReadonlyMap<string, string>;
  /** What was measured while the machine was not as it mostly is, also when measured again; flagged in the table. */
  readonly drifted: readonly string[];
}

/** Beside what is missing, so much is measured again at most: a machine that is never quiet must not measure for ever. */
const REMEASURED_SHARE = 0.1;
const REMEASURING_PASSES = 2;

/** One call of `fillTable`. */
class Filling {
  private readonly failures = new Map<string, string>();
  private measured = 0;

  constructor(
    private readonly connection: DeviceConnection,
    private readonly request: FillRequest,
    private readonly table: MeasuredTable,
  ) {}

  /** Measures all of `tasks`; a result goes to `keep` and the file at once. */
  private async measure(
    tasks: readonly Task[],
    label: string,
    keep: (task: Task, measurement: LatencyMeasurement) => void,
  ): Promise<void> {
    const { request, table } = this;
    const { device, protocol, path, seed = 0 } = request;
    // Blocks and subnets mixed: what changes slowly on the machine must not fall on one kind only.
    const order = createRandom(seed, 'order of measuring').shuffle(tasks);
    const byId = new Map(order.map((task) => [task.model.id, task]));
    const results = await measureOver(
      this.connection,
      device,
      order.map(({ model }) => model),
      protocol,
      {
        seed,
        label,
        ...(request.signal ? { signal: request.signal } : {}),
        ...(request.logger ? { logger: request.logger } : {}),
        onResult: async (id, measurement) => {
          keep(byId.get(id)!, measurement);
          await writeTable(path, table);
        },
        onFailure: (id, reason) => void this.failures.set(id, reason),
      },
    );
    this.measured += results.size;
  }

  private missing(tasks: readonly Task[]): Task[] {
    return tasks.filter((task) => task.current(this.table) === undefined);
  }

  private driftTolerance(results: readonly LatencyMeasurement[]): number {
    return driftTolerance(results.map(speedOf), this.request.protocol.sentinel.tolerance);
  }

  /** What has drifted, the worst first. */
  private drifted(tasks: readonly Task[]): Task[] {
    const results = tasks.flatMap((task) => task.current(this.table) ?? []);
    if (results.length === 0) return [];
    const usualMs = usualSentinelMs(results);
    const tolerance = this.driftTolerance(results);
    const drift = (task: Task): number => driftOf(task.current(this.table)!, usualMs);
    return tasks
      .filter((task) => {
        const result = task.current(this.table);
        return result !== undefined && hasDrifted(result, usualMs, tolerance);
      })
      .sort((a, b) => drift(b) - drift(a));
  }

  /** Measures again what was measured while the machine was not as it mostly is, and keeps the better of the two. */
  private async remeasure(tasks: readonly Task[]): Promise<Task[]> {
    const { table, request } = this;
    for (let pass = 0; pass < REMEASURING_PASSES; pass++) {
      const drifted = this.drifted(tasks);
      if (drifted.length === 0) return [];
      // Where most has drifted there is no usual speed to wait for.
      if (pass > 0 && drifted.length > 0.5 * tasks.length) break;
      const most = Math.max(request.protocol.interleave, Math.ceil(REMEASURED_SHARE * tasks.length));
      const results = tasks.flatMap((task) => task.current(table) ?? []);
      const [usualMs, tolerance] = [usualSentinelMs(results), this.driftTolerance(results)];
      await this.measure(
        drifted.slice(0, most),
        `measure again on ${request.device.name}`,
        (task, measurement) => {
          const old = task.current(table)!;
          // Compared as they were measured: what is taken off for a context says nothing of the machine.
          if (steadier(old, measurement, usualMs, tolerance) === measurement) task.keep(table, measurement);
        },
      );
    }
    return this.drifted(tasks);
  }

  async run(imageSizes: readonly number[]): Promise<FillResult> {
    const { request, table } = this;
    const { space, device, path, subnetPasses = 1, logger = silentLogger } = request;
    const models = blockModels(request);
    const blocks = request.blocks === false ? [] : distinctBlocks(space, imageSizes);
    const label = `measure ${space.name} on ${device.name}`;
    const contexts = contextTasks(request, blocks, models);
    await writeTable(path, table);
    const keep = (task: Task, measurement: LatencyMeasurement): void => task.keep(table, measurement);
    await this.measure(this.missing(contexts), `${label}: contexts`, keep);
    const subnets = wantedSubnets(request, table, imageSizes);
    const later = [...blockTasks(request, table, blocks, models), ...subnetTasks(request, table, subnets, 0)];
    const lacking = blocks.filter(
      (block) => hasContext(block, request, models) && !Object.hasOwn(table.contexts, shapeKey(block.input)),
    );
    for (const { key, input } of lacking)
      this.failures.set(key, `the context of ${shapeKey(input)} could not be measured`);
    await this.measure(this.missing(later), label, keep);
    for (let pass = 1; pass < subnetPasses; pass++) {
      const again = subnetTasks(request, table, subnets, pass);
      await this.measure(this.missing(again), `${label}: subnets, pass ${pass + 1} of ${subnetPasses}`, keep);
      later.push(...again);
    }
    const tasks = [...contexts, ...later];
    const drifted = await this.remeasure(tasks);
    for (const task of drifted) {
      const result = task.current(table)!;
      result.flags = flagged(result).flags;
    }
    if (drifted.length > 0) {
      logger.warn(
        `${drifted.length} of ${tasks.length} results on device "${device.name}" are of a machine that was faster or slower than usual; ` +
          'they are flagged "drift", and measured again when this is run again',
      );
    }
    keepPredictor(table);
    await writeTable(path, table);
    return {
      table,
      measured: this.measured,
      failures: this.failures,
      drifted: drifted.map(({ model }) => model.id),
    };
  }
}

async function fillOver(connection: DeviceConnection, request: FillRequest): Promise<FillResult> {
  const { path, space, device, protocol, imageSizes = space.parameters.imageSizes } = request;
  const fresh = emptyTable(device, connection.fingerprint, protocol, space.file);
  const table = measuredTable((await readTableIfThere(path)) ?? fresh, path);
  const bare = request.blocks === false ? undefined : blockModels(request).context === undefined;
  checkSameConditions(table, fresh, path, bare);
  const sizes = [...new Set([...table.space.imageSizes, ...space.file.imageSizes])].sort((a, b) => a - b);
  table.space = { ...table.space, imageSizes: sizes };
  const news = request.sources ?? [];
  const kept = table.sources.filter((old) => news.every(({ device: name }) => name !== old.device));
  table.sources = [...kept, ...news].map(({ device: name, weights }) => ({
    device: name,
    weights: { intercept: weights.intercept, coefficients: [...weights.coefficients] },
  }));
  return new Filling(connection, request, table).run(imageSizes);
}

/**
 * Measures the blocks of a space, and whole subnets, that the table at `path` does not have yet, and again what was
 * measured on a machine of unusual speed; then fits the predictor of its queries. Call it again to go on after an
 * interruption. Throws InterruptedError after `signal` aborted (all finished entries are in the file), UserError for a
 * table of another device, protocol or space, one that another process writes, and a device that cannot be used.
 */
export function fillTable(request: FillRequest): Promise<FillResult> {
  const purpose = { action: 'measure into', instead: 'give another --table' };
  return withFileLock(request.path, purpose, () => fillAlone(request));
}

/** With the table's lock. */
async function fillAlone(request: FillRequest): Promise<FillResult> {
  if (request.connection !== undefined) return fillOver(request.connection, request);
  const connection = await connectDevice(request.device, request.logger);
  try {
    return await fillOver(connection, request);
  } finally {
    await connection.close();
  }
}
