/**
 * The worker that measures in a browser: gets one task, tells events, is ended by its page. The counterpart of
 * `../../worker.ts`; the runtime comes from the agent.
 */
import type * as ort from 'onnxruntime-web';
import { Alive } from '../../alive.js';
import { createBench, type BenchHost, type Feeds } from '../../bench.js';
import { cpuOperatorsOfProfile } from '../../runtimeProfile.js';
import { sampleModels } from '../../sampler.js';
import type { RuntimeSettings } from '../../settings.js';
import { runtimeFiles, type FromWorker, type Task, type ToWorker } from '../task.js';

/** How often a pause is told. */
const PAUSED_MS = 5000;

const tell = (event: FromWorker): void => postMessage(event);

/** Lets messages that have arrived be handled. Not a timer: those wait for 4 ms, and longer in a hidden page. */
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

/** Whether the page can be seen: browsers slow hidden ones down. */
class Visibility {
  /** How often it was hidden so far. */
  hidings = 0;
  private visible = true;
  private waiting: (() => void)[] = [];

  set(visible: boolean): void {
    if (!visible && this.visible) this.hidings++;
    this.visible = visible;
    if (visible) for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Resolves when the page is visible, and calls `onWait` from time to time until then. */
  async wait(onWait: () => void): Promise<void> {
    if (this.visible) return;
    onWait();
    const timer = setInterval(onWait, PAUSED_MS);
    await new Promise<void>((resolve) => this.waiting.push(resolve));
    clearInterval(timer);
  }
}

const visibility = new Visibility();

async function loadRuntime({ provider, threads }: RuntimeSettings, runtimeUrl: string): Promise<typeof ort> {
  const [entry] = runtimeFiles(provider.name);
  const runtime = (await import(/* webpackIgnore: true */ new URL(entry, runtimeUrl).href)) as typeof ort;
  const { env } = runtime;
  env.logLevel = 'error';
  env.wasm.wasmPaths = runtimeUrl;
  env.wasm.numThreads = threads;
  // The runtime is in a worker already: another one would add messages to every run.
  env.wasm.proxy = false;
  return runtime;
}

/**
 * The runtime writes its profile to the console here, by the function that it found there when it was loaded: this one.
 * Lines go to `profile` while there is one.
 */
let profile: string[] | undefined;
const { console: output } = globalThis;
const { log } = output;
output.log = (...parts: unknown[]): void => {
  if (profile === undefined) log(...parts);
  else profile.push(parts.map(String).join(' '));
};

async function profiledCpuOperators(
  runtime: typeof ort,
  onnx: Uint8Array,
  feeds: Feeds,
  options: ort.InferenceSession.SessionOptions,
): Promise<string[]> {
  const session = await runtime.InferenceSession.create(onnx, { ...options, enableProfiling: true });
  const lines: string[] = [];
  try {
    await session.run(feeds);
    profile = lines;
    session.endProfiling();
  } finally {
    profile = undefined;
    await session.release();
  }
  return cpuOperatorsOfProfile(lines.join('\n'));
}

async function work(task: Task): Promise<void> {
  const { settings, protocol, seed, models, references } = task;
  const alive = new Alive(
    (id, step) => tell({ type: 'step', id, step }),
    () => performance.now(),
  );
  const contents = new Map(models.map(({ id, onnx }) => [id, onnx]));
  try {
    const runtime = await loadRuntime(settings, task.runtimeUrl);
    const host: BenchHost = {
      runtime,
      now: () => performance.now(),
      async beforeSample() {
        await visibility.wait(() =>
          tell({ type: 'paused', reason: 'the page is hidden: bring it to the front' }),
        );
        await alive.again();
      },
      async disturbances() {
        await turn();
        return visibility.hidings;
      },
      pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      cpuOperators: (onnx, feeds, options) => profiledCpuOperators(runtime, onnx, feeds, options),
      references,
    };
    const bench = await createBench(host, {
      settings,
      seed,
      model(id) {
        const onnx = contents.get(id)!;
        contents.delete(id);
        return onnx;
      },
    });
    const ids = models.map(({ id }) => id);
    await sampleModels(bench, ids, protocol, seed, {
      onStep: (id, step) => alive.step(id, step),
      onRound: (id, medianMs) => tell({ type: 'glimpse', id, medianMs }),
      onResult: (id, measurement) => tell({ type: 'result', id, measurement }),
      onFailure: (id, reason) => tell({ type: 'failed', id, reason }),
    });
  } catch (error) {
    tell({ type: 'unusable', reason: error instanceof Error ? error.message : String(error) });
  }
  tell({ type: 'done' });
}

onmessage = ({ data }: MessageEvent<ToWorker>) => {
  visibility.set(data.visible);
  if (data.type === 'task') void work(data.task);
};
