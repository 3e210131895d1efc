/**
 * One device and latency limit. Predictors propose, reality decides: candidates that are predicted to keep the limit are
 * scored on validation images and measured on the device. Where none of them keeps it, the search goes on below a tighter limit,
 * whatever was found for other limits. Then the most accurate that keeps the limit is taken of all that was measured on the device.
 */
import type { LatencyMeasurement } from '../device/measurement.js';
import type { DeviceProfile } from '../device/profile.js';
import type { Engine } from '../engine/engine.js';
import { search, type SearchConstraints, type SearchSolution } from '../search/search.js';
import type { BatchFunction } from '../search/quantity.js';
import { toFile, type Architecture } from '../space/architecture.js';
import type { SearchSpace } from '../space/space.js';
import { InfeasibleError, UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import type { Finalists } from './finalists.js';
import { spareTime, type MeasuredNetwork } from './limitUse.js';
import type { CellFinalist, SpareTime } from './specialization.js';

/** Searches, each below a tighter limit, before the closest miss is taken. */
const ATTEMPTS = 4;

/** A network as it really is on a device. */
export interface Finalist {
  readonly key: string;
  readonly architecture: Architecture;
  readonly predictedTop1: number;
  readonly predictedMs: number;
  readonly validationTop1: number;
  readonly measurement: LatencyMeasurement;
  /** Measured once more, as it had been chosen. */
  again?: LatencyMeasurement;
}

export interface CellOptions {
  readonly space: SearchSpace;
  readonly device: DeviceProfile;
  readonly maxLatencyMs: number;
  readonly predictAccuracy: BatchFunction;
  readonly predictLatencyMs: BatchFunction;
  readonly constraints: SearchConstraints | undefined;
  readonly strategy: string | undefined;
  /** For strategies that fit networks of their own. */
  readonly engine: Engine | undefined;
  readonly seed: number;
  /** Candidates of a search that are scored and measured. */
  readonly count: number;
  readonly finalists: Finalists;
  readonly pool: Pool;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}

/** What was measured on a device, by key of the architecture; all cells of the device share it. */
export type Pool = Map<string, Finalist>;

/** Of the two measurements of one that was chosen the slower counts. */
export const slowestMs = ({ measurement, again }: Finalist): number =>
  Math.max(measurement.latencyMs, again?.latencyMs ?? 0);

/** More accurate, or as accurate and faster. */
const isBetter = (a: Finalist, b: Finalist): boolean =>
  a.validationTop1 > b.validationTop1 ||
  (a.validationTop1 === b.validationTop1 && slowestMs(a) < slowestMs(b));

const asMeasured = (finalist: Finalist): MeasuredNetwork => ({
  latencyMs: slowestMs(finalist),
  predictedMs: finalist.predictedMs,
  validationTop1: finalist.validationTop1,
});

/** A total order, so that a list is the same whoever was measured first. */
const mostAccurateFirst = (a: Finalist, b: Finalist): number =>
  b.validationTop1 - a.validationTop1 || slowestMs(a) - slowestMs(b) || (a.key < b.key ? -1 : 1);

export class Cell {
  /** Keys of what its own searches found. */
  private readonly proposed = new Set<string>();
  private attempts = 0;
  private limitMs: number;

  constructor(private readonly options: CellOptions) {
    this.limitMs = options.maxLatencyMs;
  }

  get maxLatencyMs(): number {
    return this.options.maxLatencyMs;
  }

  keeps(finalist: Finalist): boolean {
    return slowestMs(finalist) <= this.maxLatencyMs;
  }

  /**
   * Searches until a network that was proposed for this limit keeps it, or there is nothing left to try. Throws InfeasibleError
   * where the limit is below any subnet, UserError where the device measures no candidate.
   */
  async explore(): Promise<void> {
    while (!this.own().some((finalist) => this.keeps(finalist)) && (await this.searchBelow()));
  }

  /**
   * The most accurate network that keeps the limit, of all that were measured on the device (of equals the fastest); else
   * the closest. So a looser limit never gets a worse one than a tighter. `among`: which of them may be taken. Undefined where
   * none may.
   */
  best(among: (finalist: Finalist) => boolean = () => true): Finalist | undefined {
    const measured = [...this.options.pool.values()].filter(among);
    const within = measured.filter((finalist) => this.keeps(finalist));
    if (within.length > 0) return within.reduce((a, b) => (isBetter(b, a) ? b : a));
    if (measured.length > 0) return measured.reduce((a, b) => (slowestMs(b) < slowestMs(a) ? b : a));
    return undefined;
  }

  /** Why `chosen` uses much less than the limit; null where it does not. */
  spare(chosen: Finalist): SpareTime | null {
    return spareTime({
      maxLatencyMs: this.maxLatencyMs,
      chosen: asMeasured(chosen),
      measured: [...this.options.pool.values()].map(asMeasured),
      proposed: this.own().map(asMeasured),
    });
  }

  /** What its searches found, and what was chosen; most accurate first. */
  told(chosen: Finalist): CellFinalist[] {
    return [...this.options.pool.values()]
      .filter((finalist) => finalist === chosen || this.proposed.has(finalist.key))
      .sort(mostAccurateFirst)
      .map((finalist) => ({
        architecture: toFile(finalist.architecture),
        predictedTop1: finalist.predictedTop1,
        validationTop1: finalist.validationTop1,
        validationTop1StandardError: this.options.finalists.standardError(
          finalist.validationTop1,
          'validation',
        ),
        predictedMs: finalist.predictedMs,
        measuredMs: finalist.measurement.latencyMs,
        measuredAgainMs: finalist.again?.latencyMs ?? null,
        meetsLimit: this.keeps(finalist),
        chosen: finalist === chosen,
      }));
  }

  /** What its own searches found, as far as it could be measured. */
  private own(): Finalist[] {
    return [...this.options.pool.values()].filter(({ key }) => this.proposed.has(key));
  }

  /** Adds candidates to what was measured on the device. False where there is nothing left to try. */
  private async searchBelow(): Promise<boolean> {
    const { device, maxLatencyMs, pool, finalists, logger } = this.options;
    if (this.attempts === ATTEMPTS) return false;
    if (this.attempts > 0) {
      this.tighten();
      logger.info(
        `Measured above ${maxLatencyMs} ms on ${device.name}; searching below ${this.limitMs.toFixed(3)} ms`,
      );
    }
    this.attempts++;
    const solutions = await this.propose();
    if (solutions === undefined) {
      this.attempts = ATTEMPTS;
      return false;
    }
    const fresh = solutions.filter(({ architecture }) => {
      const key = finalists.key(architecture);
      // What was proposed and is not in the pool cannot be measured here.
      return !pool.has(key) && !this.proposed.has(key);
    });
    for (const { architecture } of solutions) this.proposed.add(finalists.key(architecture));
    const { measurements, failures } = await finalists.measure(
      device,
      fresh.map(({ architecture }) => architecture),
      'finalist',
    );
    for (const { architecture, accuracy, latencyMs } of fresh) {
      const key = finalists.key(architecture);
      const measurement = measurements.get(key);
      if (measurement === undefined) continue;
      pool.set(key, {
        key,
        architecture,
        predictedTop1: accuracy,
        predictedMs: latencyMs!,
        validationTop1: await finalists.top1(architecture, 'validation'),
        measurement,
      });
    }
    if (pool.size > 0) return true;
    const reason = failures.values().next().value ?? 'it gave no result';
    throw new UserError(`Cannot measure any candidate on ${device.name}: ${reason}`);
  }

  /** The most accurate by prediction; undefined where only the limit that was asked for can be met. */
  private async propose(): Promise<readonly SearchSolution[] | undefined> {
    const { space, predictAccuracy, predictLatencyMs, constraints, strategy, seed, count } = this.options;
    const { engine, device, logger, signal } = this.options;
    const where = `below ${Number(this.limitMs.toPrecision(3))} ms on ${device.name}`;
    try {
      const { front } = await search({
        space,
        predictAccuracy,
        predictLatencyMs,
        constraints: { ...constraints, latencyMs: this.limitMs },
        seed,
        logger: { ...logger, progress: (label, total) => logger.progress(`${label} ${where}`, total) },
        ...(strategy === undefined ? {} : { strategy }),
        ...(engine === undefined ? {} : { engine }),
        ...(signal === undefined ? {} : { signal }),
      });
      return [...front].sort((a, b) => b.accuracy - a.accuracy).slice(0, count);
    } catch (error) {
      if (this.attempts > 1 && error instanceof InfeasibleError) return undefined;
      throw error;
    }
  }

  /** By the least that predictions were too low, so that the next candidates are no slower than need be. */
  private tighten(): void {
    const factors = this.own().map((finalist) => slowestMs(finalist) / finalist.predictedMs);
    const least = factors.length === 0 ? 0 : Math.min(...factors);
    this.limitMs = Math.min(0.97 * this.limitMs, (0.99 * this.maxLatencyMs) / least);
  }
}
