/**
 * A runtime as the sampler sees it: loads models, feeds them, runs and times them. The same code in a child process
 * (onnxruntime-node) and in a browser's worker (onnxruntime-web): it imports neither, nor anything of Node.js.
 */
import type * as ort from 'onnxruntime-node';
import { createRandom } from '../util/random.js';
import { explainProviderError, isCpuFallbackError, isCpuProvider } from './providers.js';
import type { Bench, Elapsed, ProcessorTime, Subject } from './sampler.js';
import type { RuntimeSettings } from './settings.js';

export type Runtime = Pick<typeof ort, 'InferenceSession' | 'Tensor'>;

/** What a bench needs of the place where it runs. */
export interface BenchHost {
  readonly runtime: Runtime;
  /** Of a clock that never goes back, in ms. */
  now(): number;
  /** Processor time of all threads, in ms; left out where it cannot be told. */
  cpuMs?(): number;
  /** What the machine's processors did so far; left out where it cannot be told. */
  processors?(): ProcessorTime;
  /** Awaited before every sample, outside of its time: signs of life, and a device that must not work now. */
  beforeSample(): Promise<void>;
  /** Changes when something happened that makes a sample worthless: it is taken again. */
  disturbances?(): Promise<number>;
  pause(ms: number): Promise<void>;
  /** Types of the operators of a model that run on the CPU with these options, one for each node. */
  cpuOperators(
    onnx: Uint8Array,
    feeds: Feeds,
    options: ort.InferenceSession.SessionOptions,
  ): Promise<string[]>;
  /** See referenceModels.ts. */
  readonly references: ReferenceModels;
}

/** The model of no work, and the sentinel in two sizes, of which one takes eight times as long as the other. */
export interface ReferenceModels {
  readonly empty: Uint8Array;
  readonly small: Uint8Array;
  readonly large: Uint8Array;
}

export type Feeds = Record<string, ort.Tensor>;

/** A device this slow gets the small sentinel: the large one would take over a tenth of a second. */
const SLOW_SMALL_SENTINEL_MS = 16;

/** `strict`: a model that would run partly on the CPU is refused. */
export function sessionOptions(
  settings: RuntimeSettings,
  strict: boolean,
): ort.InferenceSession.SessionOptions {
  const { provider, threads, optimizationLevel, spinning } = settings;
  return {
    executionProviders: [{ name: provider.name, ...provider.options }],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: optimizationLevel,
    logSeverityLevel: 3,
    extra: {
      session: {
        intra_op: { allow_spinning: spinning ? '1' : '0' },
        // Activations of random weights can become denormal, which is slow on some processors.
        set_denormal_as_zero: '1',
        ...(strict ? { disable_cpu_ep_fallback: '1' } : {}),
      },
    },
  };
}

/** Inputs of a session: N(0, 1) for floating point, zeros for integers. Throws Error for shapes that are not static. */
function makeFeeds({ Tensor }: Runtime, session: ort.InferenceSession, seed: number, batch: number): Feeds {
  const feeds: Feeds = {};
  for (const input of session.inputMetadata) {
    if (!input.isTensor) throw new Error(`input "${input.name}" is not a tensor`);
    const shape = input.shape.map((size, axis) => {
      if (typeof size === 'number' && size > 0) return size;
      if (axis === 0) return batch;
      throw new Error(`input "${input.name}" must have a static shape: it is [${input.shape.join(', ')}]`);
    });
    const length = shape.reduce((product, n) => product * n, 1);
    const random = createRandom(seed, 'model input', input.name);
    switch (input.type) {
      case 'float32':
        feeds[input.name] = new Tensor(
          Float32Array.from({ length }, () => random.normal()),
          shape,
        );
        break;
      case 'int64':
        feeds[input.name] = new Tensor('int64', new BigInt64Array(length), shape);
        break;
      case 'int32':
        feeds[input.name] = new Tensor('int32', new Int32Array(length), shape);
        break;
      case 'uint8':
        feeds[input.name] = new Tensor('uint8', new Uint8Array(length), shape);
        break;
      default:
        throw new Error(`input "${input.name}" must be float32, int32, int64 or uint8: it is ${input.type}`);
    }
  }
  return feeds;
}

/** `Det, Gather (3)`. */
function countedNames(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => (count === 1 ? name : `${name} (${count})`))
    .join(', ');
}

/**
 * A loaded model. Its time is taken around the runtime's public `run`; the null model's is taken off later. Outputs are
 * fetched to the CPU, so that an accelerator has finished when the clock stops.
 */
class LoadedModel implements Subject {
  constructor(
    private readonly host: BenchHost,
    private readonly session: ort.InferenceSession,
    private readonly feeds: Feeds,
    readonly cpuOperators: readonly string[],
  ) {}

  async run(repeats: number): Promise<Elapsed> {
    const { host, session, feeds } = this;
    for (;;) {
      await host.beforeSample();
      const disturbances = await host.disturbances?.();
      const cpuStart = host.cpuMs?.();
      const start = host.now();
      for (let i = 0; i < repeats; i++) await session.run(feeds);
      const wallMs = host.now() - start;
      const elapsed = cpuStart === undefined ? { wallMs } : { wallMs, cpuMs: host.cpuMs!() - cpuStart };
      if ((await host.disturbances?.()) === disturbances) return elapsed;
    }
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** The smallest step the clock was seen to make, in ms. */
export function timerResolution(now: () => number): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 200; i++) {
    const start = now();
    let end = now();
    while (end === start) end = now();
    smallest = Math.min(smallest, end - start);
  }
  return smallest;
}

/** Loads models for one job, by the rules of its settings. */
class Loader {
  constructor(
    private readonly host: BenchHost,
    private readonly settings: RuntimeSettings,
    private readonly seed: number,
  ) {}

  private async create(onnx: Uint8Array, strict: boolean): Promise<ort.InferenceSession> {
    try {
      return await this.host.runtime.InferenceSession.create(onnx, sessionOptions(this.settings, strict));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(explainProviderError(this.settings.provider.name, message), { cause: error });
    }
  }

  private async operatorsOnCpu(onnx: Uint8Array, batch: number): Promise<string[]> {
    const { host, settings, seed } = this;
    const session = await this.create(onnx, false);
    try {
      const feeds = makeFeeds(host.runtime, session, seed, batch);
      return await host.cpuOperators(onnx, feeds, sessionOptions(settings, false));
    } finally {
      await session.release();
    }
  }

  /**
   * Throws Error where the runtime cannot load or feed the model, or would run some of it on the CPU and neither the
   * settings nor `lenient` allow that.
   */
  async load(onnx: Uint8Array, batch: number, lenient = false): Promise<LoadedModel> {
    const { host, settings, seed } = this;
    const { name, allowCpuOperators = false } = settings.provider;
    let session: ort.InferenceSession;
    let cpuOperators: readonly string[] = [];
    try {
      session = await this.create(onnx, !isCpuProvider(name));
    } catch (error) {
      if (!isCpuFallbackError((error as Error).message)) throw error;
      if (!lenient) {
        cpuOperators = await this.operatorsOnCpu(onnx, batch);
        if (!allowCpuOperators) {
          throw new Error(
            `execution provider "${name}" leaves operators of the model to the CPU: ${countedNames(cpuOperators)}; ` +
              'the key "provider.allowCpuOperators" of a device profile allows that',
            { cause: error },
          );
        }
      }
      session = await this.create(onnx, false);
    }
    try {
      return new LoadedModel(host, session, makeFeeds(host.runtime, session, seed, batch), cpuOperators);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /** The large sentinel, or the small one where the large one would take longer to read than what it watches. */
  async sentinel(): Promise<LoadedModel> {
    const { small, large } = this.host.references;
    const model = await this.load(small, 1);
    // The first run also compiles.
    await model.run(1);
    const { wallMs } = await model.run(1);
    if (wallMs > SLOW_SMALL_SENTINEL_MS) return model;
    await model.release();
    return this.load(large, 1);
  }
}

export interface BenchJob {
  readonly settings: RuntimeSettings;
  readonly seed: number;
  /** Content of one, asked for once, when its turn comes. */
  model(id: string): Uint8Array | Promise<Uint8Array>;
}

/** Throws Error where the provider is not there or does not work. */
export async function probeProvider(host: BenchHost, settings: RuntimeSettings): Promise<void> {
  const model = await new Loader(host, settings, 0).load(host.references.empty, 1, true);
  await model.run(1);
  await model.release();
}

/** Throws Error where the provider is not there. */
export async function createBench(host: BenchHost, job: BenchJob): Promise<Bench> {
  const { settings, seed } = job;
  const loader = new Loader(host, settings, seed);
  const open = new Map<string, LoadedModel>();
  return {
    timerResolutionMs: timerResolution(() => host.now()),
    cpuBound: settings.threads === 1 && isCpuProvider(settings.provider.name),
    // Its operator, which does nothing, may run anywhere.
    nullModel: await loader.load(host.references.empty, 1, true),
    sentinel: await loader.sentinel(),
    async open(id) {
      const model = await loader.load(await job.model(id), settings.batch);
      open.set(id, model);
      return model;
    },
    cpuOperators: (id) => open.get(id)?.cpuOperators ?? [],
    async close(id) {
      await open.get(id)?.release();
      open.delete(id);
    },
    pause: (ms) => host.pause(ms),
    ...(host.processors === undefined ? {} : { processors: () => host.processors!() }),
  };
}
