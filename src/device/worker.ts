/**
 * The child process of `localProcess.ts`: gets one job, measures, reports, ends. The only file of this folder that
 * loads the runtime.
 */
import * as ort from 'onnxruntime-node';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../util/random.js';
import type { RuntimeSettings } from './profile.js';
import { nullModel, sentinelModel } from './referenceModels.js';
import { sampleModels, type Bench, type Subject } from './sampler.js';
import type { MeasureEvent, MeasureJob } from './transport.js';

function sessionOptions(settings: RuntimeSettings): ort.InferenceSession.SessionOptions {
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
        // A model that runs partly on the CPU says nothing about another provider.
        ...(provider.name === 'cpu' ? {} : { disable_cpu_ep_fallback: '1' }),
      },
    },
  };
}

/** Inputs of a session: N(0, 1) for floating point, zeros for integers. Throws Error for shapes that are not static. */
function makeFeeds(session: ort.InferenceSession, seed: number, batch: number): Record<string, ort.Tensor> {
  const feeds: Record<string, ort.Tensor> = {};
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
        feeds[input.name] = new ort.Tensor(
          Float32Array.from({ length }, () => random.normal()),
          shape,
        );
        break;
      case 'int64':
        feeds[input.name] = new ort.Tensor('int64', new BigInt64Array(length), shape);
        break;
      case 'int32':
        feeds[input.name] = new ort.Tensor('int32', new Int32Array(length), shape);
        break;
      case 'uint8':
        feeds[input.name] = new ort.Tensor('uint8', new Uint8Array(length), shape);
        break;
      default:
        throw new Error(`input "${input.name}" must be float32, int32, int64 or uint8: it is ${input.type}`);
    }
  }
  return feeds;
}

/** A loaded model. Its time is taken around the runtime's public `run`; the null model's is taken off later. */
class LoadedModel implements Subject {
  private constructor(
    private readonly session: ort.InferenceSession,
    private readonly feeds: Record<string, ort.Tensor>,
  ) {}

  static async load(
    onnx: Uint8Array,
    settings: RuntimeSettings,
    seed: number,
    batch: number,
  ): Promise<LoadedModel> {
    const session = await ort.InferenceSession.create(onnx, sessionOptions(settings));
    return new LoadedModel(session, makeFeeds(session, seed, batch));
  }

  async run(repeats: number): Promise<{ wallMs: number; cpuMs: number }> {
    const cpuStart = process.cpuUsage();
    const start = performance.now();
    for (let i = 0; i < repeats; i++) await this.session.run(this.feeds);
    const wallMs = performance.now() - start;
    const { user, system } = process.cpuUsage(cpuStart);
    return { wallMs, cpuMs: (user + system) / 1000 };
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** The smallest step the clock was seen to make, in ms. */
function timerResolution(): number {
  let smallest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 1000; i++) {
    const start = performance.now();
    let end = performance.now();
    while (end === start) end = performance.now();
    smallest = Math.min(smallest, end - start);
  }
  return smallest;
}

async function createBench({ settings, models, seed }: MeasureJob): Promise<Bench> {
  const waiting = new Map(models.map((model) => [model.id, model.onnx]));
  const open = new Map<string, LoadedModel>();
  return {
    timerResolutionMs: timerResolution(),
    cpuBound: settings.threads === 1 && settings.provider.name === 'cpu',
    nullModel: await LoadedModel.load(nullModel(), settings, seed, 1),
    sentinel: await LoadedModel.load(sentinelModel(), settings, seed, 1),
    async open(id) {
      const model = await LoadedModel.load(waiting.get(id)!, settings, seed, settings.batch);
      waiting.delete(id);
      open.set(id, model);
      return model;
    },
    async close(id) {
      await open.get(id)?.release();
      open.delete(id);
    },
    pause: async (ms) => {
      await sleep(ms);
    },
  };
}

/** Resolves when the message has been handed to the system: a run that hangs afterwards cannot hold it back. */
function tell(event: MeasureEvent): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(event, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

async function work(job: MeasureJob): Promise<void> {
  try {
    const ids = job.models.map(({ id }) => id);
    await sampleModels(await createBench(job), ids, job.protocol, job.seed, {
      onStep: (id, step) => tell({ type: 'step', id, step }),
      onResult: (id, measurement) => tell({ type: 'result', id, measurement }),
      onFailure: (id, reason) => tell({ type: 'failed', id, reason }),
    });
  } catch (error) {
    await tell({ type: 'unusable', reason: error instanceof Error ? error.message : String(error) });
  }
  await tell({ type: 'done' });
  process.disconnect();
}

// Ctrl-C reaches the whole process group; the parent decides when this process ends.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
process.once('message', (job: MeasureJob) => void work(job));
