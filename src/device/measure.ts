/** Measures models on a device, whatever the transport: batches, retries after a crash, and who is to blame for it. */
import { InterruptedError, UserError } from '../util/errors.js';
import { readBytes } from '../util/files.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { modelHash } from './fingerprint.js';
import type { LatencyMeasurement } from './measurement.js';
import { runtimeSettings, type DeviceProfile } from './profile.js';
import type { Protocol } from './protocol.js';
import type { DeviceConnection, ModelPayload } from './transport.js';
import { connectDevice } from './transports.js';
import { WorkDone } from './workDone.js';

/** Bytes of an ONNX file, its path, or a function that makes it when its turn comes. */
export type ModelSource = Uint8Array | string | (() => Uint8Array | Promise<Uint8Array>);

export interface ModelToMeasure {
  /** Unique within a call. */
  readonly id: string;
  readonly onnx: ModelSource;
}

export interface MeasureOptions {
  /** Stops the device; the call then throws InterruptedError, with all results handed over that there are. */
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
  /** Awaited, in order: where results are kept. */
  readonly onResult?: (id: string, measurement: LatencyMeasurement) => void | Promise<void>;
  /** A model that cannot be measured; without this, only `logger.warn` is told. */
  readonly onFailure?: (id: string, reason: string) => void | Promise<void>;
  /** Nothing happens on the device, and goes on by itself; told each time the reason changes. */
  readonly onPause?: (reason: string) => void;
  readonly seed?: number;
  /** What the progress bar is called. */
  readonly label?: string;
}

/** Models stay loaded while they take turns: this many bytes of them at most. */
export const BATCH_BYTES = 96 * 1024 * 1024;

function readSource(source: ModelSource): Uint8Array | Promise<Uint8Array> {
  if (typeof source === 'string') return readBytes(source);
  return typeof source === 'function' ? source() : source;
}

/** Takes models off the front of `queue` until a batch is full. */
async function nextBatch(queue: ModelToMeasure[], limit: number): Promise<ModelPayload[]> {
  const batch: ModelPayload[] = [];
  let bytes = 0;
  while (queue.length > 0 && batch.length < limit) {
    const onnx = await readSource(queue[0]!.onnx);
    if (batch.length > 0 && bytes + onnx.byteLength > BATCH_BYTES) break;
    bytes += onnx.byteLength;
    batch.push({ id: queue.shift()!.id, hash: modelHash(onnx), onnx });
  }
  return batch;
}

/** One call of `measureModels`. */
class Measuring {
  readonly results = new Map<string, LatencyMeasurement>();
  private readonly work: WorkDone;
  private paused: string | undefined;
  /** Handing results over one after the other, while the device goes on. */
  private handover: Promise<void> = Promise.resolve();
  private readonly logger: Logger;
  private readonly progress;

  constructor(
    private readonly connection: DeviceConnection,
    private readonly profile: DeviceProfile,
    private readonly protocol: Protocol,
    private readonly options: MeasureOptions,
    total: number,
  ) {
    this.work = new WorkDone(protocol.rounds.min);
    this.logger = options.logger ?? silentLogger;
    this.progress = this.logger.progress(options.label ?? `measure on ${profile.name}`, total);
  }

  private showProgress(): void {
    this.progress.update(this.work.models);
  }

  private settle(id: string, outcome: LatencyMeasurement | string): void {
    this.work.settle(id);
    this.showProgress();
    this.handover = this.handover.then(async () => {
      if (typeof outcome === 'string') {
        this.logger.warn(`Cannot measure ${id} on device "${this.profile.name}": ${outcome}`);
        await this.options.onFailure?.(id, outcome);
      } else {
        this.results.set(id, outcome);
        await this.options.onResult?.(id, outcome);
      }
    });
    // Its failure is thrown by `batch`, which awaits it.
    this.handover.catch(() => undefined);
  }

  /** Warns once while the reason stays the same. */
  private tellPause(reason: string | undefined): void {
    if (reason !== undefined && reason !== this.paused) {
      this.logger.warn(`Device "${this.profile.name}" is paused: ${reason}`);
      this.options.onPause?.(reason);
    }
    this.paused = reason;
  }

  private throwIfStopped(): void {
    if (this.options.signal?.aborted) {
      throw new InterruptedError(`Measuring on device "${this.profile.name}" was interrupted`);
    }
  }

  /** Measures all of `models`. A model during which the device is lost has failed; the others start again. */
  async batch(models: readonly ModelPayload[]): Promise<void> {
    const { protocol, options, connection, profile } = this;
    let open = models;
    while (open.length > 0) {
      const finished = new Set<string>();
      let current: string | undefined;
      let unusable: string | undefined;
      const job = { settings: runtimeSettings(profile), protocol, seed: options.seed ?? 0, models: open };
      const run = connection.run(
        job,
        (event) => {
          if (event.type === 'step') {
            current = event.id;
            this.work.step(event.id);
            this.showProgress();
          }
          if (event.type === 'unusable') unusable = event.reason;
          this.tellPause(event.type === 'paused' ? event.reason : undefined);
          if (event.type !== 'result' && event.type !== 'failed') return;
          finished.add(event.id);
          this.settle(event.id, event.type === 'result' ? event.measurement : event.reason);
        },
        options.signal,
      );
      // Also where the device cannot be reached any more: what it has told is kept.
      const lost = await run.finally(() => this.handover);
      this.throwIfStopped();
      if (unusable !== undefined) throw this.refusal(unusable);
      open = open.filter(({ id }) => !finished.has(id));
      if (lost !== undefined && open.length > 0) {
        const suspect = open.find(({ id }) => id === current);
        if (suspect === undefined) {
          // Nothing came of this start: another would end the same way.
          if (finished.size === 0) throw this.refusal(lost);
          continue;
        }
        this.settle(suspect.id, lost);
        open = open.filter(({ id }) => id !== suspect.id);
        await this.handover;
      }
    }
  }

  private refusal(reason: string): UserError {
    return new UserError(`Cannot measure on device "${this.profile.name}": ${reason}`);
  }

  async all(models: readonly ModelToMeasure[]): Promise<void> {
    const queue = [...models];
    try {
      while (queue.length > 0) {
        this.throwIfStopped();
        await this.batch(await nextBatch(queue, this.protocol.interleave));
      }
    } finally {
      this.progress.stop();
    }
  }
}

/** As `measureModels`, over a connection that stays open. */
export async function measureOver(
  connection: DeviceConnection,
  profile: DeviceProfile,
  models: readonly ModelToMeasure[],
  protocol: Protocol,
  options: MeasureOptions = {},
): Promise<Map<string, LatencyMeasurement>> {
  if (new Set(models.map(({ id }) => id)).size !== models.length) {
    throw new RangeError('Cannot measure models: their ids must differ');
  }
  const measuring = new Measuring(connection, profile, protocol, options, models.length);
  await measuring.all(models);
  return measuring.results;
}

/**
 * Measures models on a device by a protocol. Results come one by one through `onResult`; the map holds all of them.
 * Models that cannot be measured are missing from it. Throws UserError where the device cannot be used at all,
 * InterruptedError after `signal` aborted.
 */
export async function measureModels(
  profile: DeviceProfile,
  models: readonly ModelToMeasure[],
  protocol: Protocol,
  options: MeasureOptions = {},
): Promise<Map<string, LatencyMeasurement>> {
  const connection = await connectDevice(profile, options.logger);
  try {
    return await measureOver(connection, profile, models, protocol, options);
  } finally {
    await connection.close();
  }
}
