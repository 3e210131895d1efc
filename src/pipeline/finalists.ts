/** Candidates as they really are: recalibrated, scored and measured, each thing once, and kept in a journal. */
import type { Loader } from '../data/loader.js';
import { recordKey } from '../data/record.js';
import { deviceKey } from '../device/fingerprint.js';
import { measureOver } from '../device/measure.js';
import type { LatencyMeasurement } from '../device/measurement.js';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import type { DeviceConnection } from '../device/transport.js';
import { connectDevice } from '../device/transports.js';
import { subnetModel } from '../export/exportSubnet.js';
import type { Architecture } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import type { SubnetEvaluator } from '../training/evaluator.js';
import { InterruptedError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import { fractionStandardError } from '../util/standardError.js';
import type { Tensor } from '../util/tensor.js';
import {
  unitName,
  type FinalistJournal,
  type KnownScore,
  type ScoredSplit,
  type Visit,
} from './finalistJournal.js';
import type { SupernetRun } from './run.js';

/** Devices that are connected when they are first needed, and stay so. */
export class DeviceSessions {
  private readonly open = new Map<string, DeviceConnection>();
  private readonly given: ReadonlySet<string>;

  /** `connections`: by name of the device, those that a caller has open and closes. */
  constructor(
    connections: ReadonlyMap<string, DeviceConnection>,
    private readonly logger: Logger,
  ) {
    this.open = new Map(connections);
    this.given = new Set(connections.keys());
  }

  /** Throws UserError where the device does not answer, or is not the one in its profile. */
  async connect(device: DeviceProfile): Promise<DeviceConnection> {
    let connection = this.open.get(device.name);
    if (connection === undefined) {
      connection = await connectDevice(device, this.logger);
      this.open.set(device.name, connection);
    }
    return connection;
  }

  async close(): Promise<void> {
    for (const [name, connection] of this.open) if (!this.given.has(name)) await connection.close();
    this.open.clear();
  }
}

export interface FinalistsOptions {
  readonly run: SupernetRun;
  readonly loader: Loader;
  /** Key of the data (`RunDataset.dataKey`). Default: the run's own, unchanged. */
  readonly dataSha256?: string | undefined;
  readonly evaluator: Pick<SubnetEvaluator, 'settings' | 'calibrate' | 'evaluate'>;
  readonly protocol: Protocol;
  readonly seed: number;
  readonly sessions: DeviceSessions;
  readonly journal: FinalistJournal;
  /** By name of the device: how many times as long as undisturbed a network usually takes there; absent where nobody knows. */
  readonly disturbances: ReadonlyMap<string, number>;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** What came of measuring: latencies by key of the architecture, and why others have none. */
export interface Measured {
  readonly measurements: ReadonlyMap<string, LatencyMeasurement>;
  readonly failures: ReadonlyMap<string, string>;
}

const hasDrifted = (measurement: LatencyMeasurement | undefined): boolean =>
  measurement?.flags.includes('drift') ?? false;

/** The one on a machine of its usual speed; of two that drifted, the one on the faster machine. */
function steadier(first: LatencyMeasurement | undefined, second: LatencyMeasurement): LatencyMeasurement {
  if (first === undefined || !hasDrifted(second)) return second;
  return !hasDrifted(first) || first.sentinelMs <= second.sentinelMs ? first : second;
}

/** With the latency that it usually has, whatever disturbed the machine meanwhile (decision 0023). */
function asUsual(measurement: LatencyMeasurement, disturbance: number | undefined): LatencyMeasurement {
  const { quietMs } = measurement;
  if (disturbance === undefined || quietMs === undefined) return measurement;
  return { ...measurement, latencyMs: disturbance * quietMs };
}

export class Finalists {
  private readonly calibrated = new Map<string, ReadonlyMap<string, Tensor>>();

  constructor(private readonly options: FinalistsOptions) {}

  key(arch: Architecture): string {
    return architectureKey(this.options.run.space.genes, arch);
  }

  /** Recalibrated batch norm. The same for the same architecture, so it is computed again where a command goes on. */
  async statistics(arch: Architecture): Promise<ReadonlyMap<string, Tensor>> {
    const key = this.key(arch);
    let statistics = this.calibrated.get(key);
    if (statistics === undefined) {
      this.throwIfStopped();
      statistics = await this.options.evaluator.calibrate(arch);
      this.calibrated.set(key, statistics);
    }
    return statistics;
  }

  /** Fraction of a split's images. */
  async top1(arch: Architecture, split: ScoredSplit): Promise<number> {
    return (await this.score(arch, split)).top1;
  }

  /** On a split's images; class by class on test images, unless they were scored by an older version. */
  async score(arch: Architecture, split: ScoredSplit): Promise<KnownScore> {
    const { evaluator, journal } = this.options;
    const { limit } = evaluator.settings;
    const images = [...this.images(split), limit ?? null];
    const unit = unitName({ kind: 'score', ...this.facts(arch), images });
    const known = journal.score(unit);
    if (known !== undefined) return known;
    const statistics = await this.statistics(arch);
    this.throwIfStopped();
    const score = await evaluator.evaluate(arch, split, { statistics, byClass: split === 'test' });
    await journal.addScore(unit, arch, split, score);
    return score;
  }

  /** Standard error of such a fraction. */
  standardError(top1: number, split: ScoredSplit): number {
    return fractionStandardError(top1, this.imageCount(split));
  }

  /** Images of a split that networks are scored on. */
  imageCount(split: ScoredSplit): number {
    const { evaluator, loader } = this.options;
    return Math.min(loader.dataset.splitSize(split), evaluator.settings.limit ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Latencies of distinct architectures on a device; those known of this device, as it is now, are not measured again.
   * Where the machine was not steady a network is measured once more, and the steadier of the two results counts. Latencies are
   * of the machine as it usually is; the journal has them as they were measured.
   * Throws UserError where the device cannot be used at all, InterruptedError when told to stop.
   */
  async measure(device: DeviceProfile, archs: readonly Architecture[], visit: Visit): Promise<Measured> {
    const { run, protocol, seed, sessions, journal, logger, signal } = this.options;
    const { space, weights } = run;
    this.throwIfStopped();
    const connection = await sessions.connect(device);
    const measurements = new Map<string, LatencyMeasurement>();
    const failures = new Map<string, string>();
    const missing = new Map<string, { readonly arch: Architecture; readonly unit: string }>();
    for (const arch of archs) {
      const unit = unitName({
        kind: 'latency',
        ...this.facts(arch),
        // Two phones of one model have one fingerprint.
        device: [device.name, deviceKey(connection.fingerprint)],
        batch: device.batch,
        protocol,
        visit,
      });
      const known = journal.latency(unit);
      if (known === undefined) missing.set(this.key(arch), { arch, unit });
      else measurements.set(this.key(arch), known);
    }
    const told = (): Measured => {
      const disturbance = this.options.disturbances.get(device.name);
      return {
        measurements: new Map([...measurements].map(([key, one]) => [key, asUsual(one, disturbance)])),
        failures,
      };
    };
    if (missing.size === 0) return told();
    // Before the device is kept waiting: others may ask it meanwhile.
    for (const { arch } of missing.values()) await this.statistics(arch);
    const measureAll = (ids: readonly string[], label: string): Promise<unknown> =>
      measureOver(
        connection,
        device,
        ids.map((id) => ({
          id,
          onnx: async () => {
            const { arch } = missing.get(id)!;
            const statistics = await this.statistics(arch);
            return subnetModel({ space, weights, arch, statistics, batch: device.batch });
          },
        })),
        protocol,
        {
          seed,
          label: `${label} on ${device.name}`,
          logger,
          onResult: async (id, measurement) => {
            const { arch, unit } = missing.get(id)!;
            if (steadier(measurements.get(id), measurement) !== measurement) return;
            measurements.set(id, measurement);
            await journal.addLatency(unit, arch, device.name, visit, measurement);
          },
          onFailure: (id, reason) => void failures.set(id, reason),
          ...(signal === undefined ? {} : { signal }),
        },
      );
    await measureAll(
      [...missing.keys()],
      visit === 'finalist' ? 'Measuring finalists' : 'Measuring chosen models',
    );
    const drifted = [...missing.keys()].filter((id) => hasDrifted(measurements.get(id)));
    if (drifted.length > 0) await measureAll(drifted, 'Measuring again what drifted');
    return told();
  }

  /** What every figure of a network follows from. */
  private facts(arch: Architecture): Readonly<Record<string, unknown>> {
    const { calibrationImages, calibrationBatch, calibrationSeed } = this.options.evaluator.settings;
    return {
      weights: this.options.run.weightsSha256,
      architecture: this.key(arch),
      calibration: [this.images('train'), calibrationImages, calibrationBatch, calibrationSeed],
    };
  }

  private images(split: 'train' | ScoredSplit): readonly unknown[] {
    const { dataset } = this.options.loader;
    const { path, splitSeed, validationFraction, onCorrupt } = dataset.source;
    const facts = [
      dataset.name,
      path,
      splitSeed,
      validationFraction,
      onCorrupt,
      split,
      dataset.splitSize(split),
    ];
    const { run, dataSha256 } = this.options;
    // Of the run's own data nothing more is said, as before there were keys.
    const isOwn = run.record !== undefined && dataSha256 === recordKey(run.record);
    return dataSha256 === undefined || isOwn ? facts : [...facts, dataSha256];
  }

  private throwIfStopped(): void {
    if (this.options.signal?.aborted !== true) return;
    throw new InterruptedError(
      'Specialising was interrupted; what was measured is kept: run the same command again to go on',
    );
  }
}
