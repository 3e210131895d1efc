/** A run that is stopped, however and wherever, and goes on ends like one that never stopped: to the last bit. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/dataset.js';
import type { Runtime } from '../../src/pipeline/runtime.js';
import { readMetrics } from '../../src/training/metrics.js';
import { InterruptedError } from '../../src/util/errors.js';
import { digits, runTiny, twoThreads, type TinyRun } from './support/runs.js';

let root: string;
let runtime: Runtime;
let dataset: Dataset;
let whole: Awaited<ReturnType<typeof outcome>>;

/** Validates every epoch, as there are few steps. */
const run = (folder: string, { training, ...rest }: Partial<TinyRun> = {}) =>
  runTiny({ folder, runtime, dataset, ...rest, training: { validateEveryEpochs: 1, ...training } });
const newFolder = (): Promise<string> => mkdtemp(join(root, 'run-'));

/** All that a run leaves: tensors by content, metrics without speeds. */
async function outcome(folder: string) {
  const names = (await readdir(folder)).sort();
  const tensors = await Promise.all(
    names
      .filter((name) => name.endsWith('.safetensors'))
      .map(async (name) =>
        createHash('sha256')
          .update(await readFile(join(folder, name)))
          .digest('hex'),
      ),
  );
  const metrics = await readMetrics(join(folder, 'metrics.jsonl'));
  const position = JSON.parse(await readFile(join(folder, 'supernet.json'), 'utf8')) as unknown;
  return {
    names,
    tensors,
    position,
    metrics: metrics.map((metric) => (metric.kind === 'step' ? { ...metric, imagesPerSecond: 0 } : metric)),
  };
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ofakit-resume-'));
  [runtime, dataset] = await Promise.all([twoThreads(), digits(64)]);
  const folder = await newFolder();
  await run(folder);
  whole = await outcome(folder);
});
afterAll(async () => {
  await runtime.dispose();
  await rm(root, { recursive: true });
});

describe('the uninterrupted run', () => {
  it('goes through four phases, validating at epochs and ends of phases', () => {
    const steps = whole.metrics.filter(({ kind }) => kind === 'step').map(({ step, phase }) => [step, phase]);
    expect(steps).toEqual([
      [6, 'largest'],
      [10, 'kernel'],
      [14, 'width 1'],
      [18, 'width 2'],
    ]);
    const validated = whole.metrics.filter(({ kind }) => kind === 'validation').map(({ step }) => step);
    expect([...new Set(validated)]).toEqual([4, 6, 8, 10, 12, 14, 16, 18]);
    expect(validated).toHaveLength(8 * 4);
  });

  it('leaves a checkpoint, its tensors, the teacher and metrics, and nothing else', () => {
    expect(whole.names.map((name) => name.replace(/-[0-9a-f]{16}/, '-HASH'))).toEqual([
      'data.json',
      'metrics.jsonl',
      'optimizer-HASH.safetensors',
      'supernet-HASH.safetensors',
      'supernet.json',
      'teacher.safetensors',
    ]);
  });

  it('is the same with batches from threads', async () => {
    const folder = await newFolder();
    await run(folder, { workers: 2 });
    expect(await outcome(folder)).toEqual(whole);
  });

  it('returns at once when it is asked for again, even after a stop', async () => {
    const folder = await newFolder();
    const first = await run(folder);
    const before = await outcome(folder);
    const computed: number[] = [];
    const again = await run(folder, {
      beforeStep: (step) => computed.push(step),
      training: { signal: AbortSignal.abort() },
    });
    expect(computed).toEqual([]);
    expect(again.steps).toBe(18);
    expect(again.weightsSha256).toBe(first.weightsSha256);
    expect(again.weights).toEqual(first.weights);
    expect(await outcome(folder)).toEqual(before);
  });
});

describe('stopped by a signal', () => {
  /** Goes on after each stop until the run is done. */
  async function stopAt(
    folder: string,
    stops: readonly number[],
    rest: Partial<TinyRun> = {},
  ): Promise<number> {
    const left = [...stops];
    for (let interruptions = 0; ; interruptions++) {
      const controller = new AbortController();
      try {
        await run(folder, {
          ...rest,
          beforeStep: (step) => {
            if (step !== left[0]) return;
            left.shift();
            controller.abort();
          },
          training: { ...rest.training, signal: controller.signal },
        });
        return interruptions;
      } catch (error) {
        expect(error).toBeInstanceOf(InterruptedError);
      }
    }
  }

  it('ends alike, wherever it was stopped: in a phase, at its end, at its start', async () => {
    const folder = await newFolder();
    expect(await stopAt(folder, [0, 2, 5, 6, 9, 12, 13, 15])).toBe(8);
    expect(await outcome(folder)).toEqual(whole);
  });

  it('stops before the first step where the signal came earlier', async () => {
    const folder = await newFolder();
    const stopped = run(folder, { training: { signal: AbortSignal.abort() } });
    await expect(stopped).rejects.toThrow('Stopped at step 0; the same command goes on from there');
    await run(folder);
    expect(await outcome(folder)).toEqual(whole);
  });
});

describe('killed', () => {
  const script = fileURLToPath(new URL('./support/child.ts', import.meta.url));

  /** Runs the child until `onStep` says no or it ends; returns the signal that ended it. */
  function child(args: readonly string[], onStep: (step: number) => boolean = () => true) {
    return new Promise<NodeJS.Signals | null>((resolve, reject) => {
      const process_ = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      process_.stdout.setEncoding('utf8').on('data', (text: string) => {
        for (const [, step] of text.matchAll(/step (\d+)/g))
          if (!onStep(Number(step))) process_.kill('SIGKILL');
      });
      process_.on('error', reject);
      process_.on('exit', (_, signal) => resolve(signal));
    });
  }

  it('between a phase boundary and the first checkpoint after it, where a teacher was kept and channels were sorted', async () => {
    const folder = await newFolder();
    // Without checkpoints but those at the ends of phases: the next process begins each of these phases a second time.
    for (const step of [3, 7, 12, 16]) expect(await child([folder, '1e9', `${step}`])).toBe('SIGKILL');
    const resumed = await newFolder();
    await cp(folder, resumed, { recursive: true });
    await run(resumed);
    expect(await outcome(resumed)).toEqual(whole);
  });

  it('from outside, at any instant of a run that saves after every step', async () => {
    const folder = await newFolder();
    expect(await child([folder, '0'], (step) => step < 4)).toBe('SIGKILL');
    expect(await child([folder, '0'], (step) => step < 11)).toBe('SIGKILL');
    await run(folder, { training: { checkpointSeconds: 0 } });
    expect(await outcome(folder)).toEqual(whole);
  });
});
