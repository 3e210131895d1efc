/**
 * The child process of `localProcess.ts`: gets one job, measures, reports, ends; a job without models asks whether the
 * provider is there. With `cpuOperators.ts` the only file of this folder that loads the runtime.
 */
import * as ort from 'onnxruntime-node';
import { cpus } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Alive } from './alive.js';
import { createBench, probeProvider, type BenchHost } from './bench.js';
import { profiledCpuOperators } from './cpuOperators.js';
import { referenceModels } from './referenceModels.js';
import { sampleModels, type ProcessorTime } from './sampler.js';
import type { MeasureEvent, MeasureJob } from './transport.js';

/** Resolves when the message has been handed to the system: a run that hangs afterwards cannot hold it back. */
function tell(event: MeasureEvent): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(event, (error: Error | null) => (error === null ? resolve() : reject(error)));
  });
}

/** Of all processors, this process's share taken off. */
function processorTime(): ProcessorTime {
  const { user, system } = process.cpuUsage();
  const times = cpus().map((processor) => processor.times);
  const totalMs = times.flatMap((time) => Object.values(time)).reduce((sum, ms) => sum + ms, 0);
  const idleMs = times.reduce((sum, { idle }) => sum + idle, 0);
  return { othersMs: totalMs - idleMs - (user + system) / 1000, totalMs };
}

function nodeHost(alive: Alive): BenchHost {
  return {
    runtime: ort,
    now: () => performance.now(),
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    processors: processorTime,
    beforeSample: () => alive.again(),
    pause: async (ms) => {
      await sleep(ms);
    },
    cpuOperators: profiledCpuOperators,
    references: referenceModels(),
  };
}

async function work({ settings, protocol, seed, models }: MeasureJob): Promise<void> {
  const alive = new Alive(
    (id, step) => tell({ type: 'step', id, step }),
    () => performance.now(),
  );
  const waiting = new Map(models.map((model) => [model.id, model.onnx]));
  const ids = models.map(({ id }) => id);
  const host = nodeHost(alive);
  try {
    if (ids.length === 0) await probeProvider(host, settings);
    else {
      const bench = await createBench(host, {
        settings,
        seed,
        model(id) {
          const onnx = waiting.get(id)!;
          waiting.delete(id);
          return onnx;
        },
      });
      await sampleModels(bench, ids, protocol, seed, {
        onStep: (id, step) => alive.step(id, step),
        onResult: (id, measurement) => tell({ type: 'result', id, measurement }),
        onFailure: (id, reason) => tell({ type: 'failed', id, reason }),
      });
    }
  } catch (error) {
    await tell({ type: 'unusable', reason: error instanceof Error ? error.message : String(error) });
  }
  await tell({ type: 'done' });
  process.disconnect();
}

new Worker(new URL('./orphanWatch.js', import.meta.url), { workerData: process.ppid }).unref();
// Ctrl-C reaches the whole process group; the parent decides when this process ends.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
process.once('message', (job: MeasureJob) => void work(job));
