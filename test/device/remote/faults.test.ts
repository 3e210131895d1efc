/** What may go wrong between a host and an agent while it measures: nothing measured is lost, nothing wrong is kept. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import onnxProto from 'onnx-proto';
import { afterEach, describe, expect, it } from 'vitest';
import type { AgentOptions } from '../../../src/device/agent/server.js';
import type { Executor } from '../../../src/device/executor.js';
import { createLocalExecutor, localExecutor } from '../../../src/device/localProcess.js';
import { measureModels, type ModelToMeasure } from '../../../src/device/measure.js';
import type { LatencyMeasurement } from '../../../src/device/measurement.js';
import { nullModel, blockModel } from '../../../src/device/referenceModels.js';
import type { DeviceConnection } from '../../../src/device/transport.js';
import { UserError } from '../../../src/util/errors.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import { smallModel } from '../../support/smallModels.js';
import { listeningLogger, remoteProfile, startTestAgent, type TestAgent } from '../support/agent.js';
import { startProxy, type Proxy } from '../support/proxy.js';

const cleaning: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const clean of cleaning.splice(0).reverse()) await clean();
});

async function startAgent(options: Partial<AgentOptions> = {}): Promise<TestAgent> {
  const agent = await startTestAgent(options);
  cleaning.push(() => agent.remove());
  return agent;
}

async function startNetwork(port: number): Promise<Proxy> {
  const proxy = await startProxy(port);
  cleaning.push(() => proxy.close());
  return proxy;
}

const models = (count: number): ModelToMeasure[] =>
  Array.from({ length: count }, (_, i) => ({ id: `model ${i}`, onnx: () => blockModel(4 + i) }));

/** Leaves time between a result and what follows it. */
function spaced(inner: Executor, ms: number): Executor {
  return {
    async connect(settings, logger) {
      const connection = await inner.connect(settings, logger);
      const run: DeviceConnection['run'] = async (job, onEvent, signal) => {
        let telling = Promise.resolve();
        const lost = await connection.run(
          job,
          (event) => {
            telling = telling.then(async () => {
              onEvent(event);
              if (event.type === 'result') await sleep(ms);
            });
          },
          signal,
        );
        await telling;
        return lost;
      };
      return { ...connection, run };
    },
  };
}

/** Lets some results pass, then nothing: a job that is in its middle until it is stopped. */
function holding(inner: Executor, results: number): Executor {
  return {
    async connect(settings, logger) {
      const connection = await inner.connect(settings, logger);
      const run: DeviceConnection['run'] = (job, onEvent, signal) =>
        new Promise((resolve, reject) => {
          let passed = 0;
          signal?.addEventListener('abort', () => resolve('it was stopped'));
          const running = connection.run(
            job,
            (event) => {
              if (passed < results) onEvent(event);
              if (event.type === 'result') passed++;
            },
            signal,
          );
          running.catch(reject);
        });
      return { ...connection, run };
    },
  };
}

/** Counts what it is asked to carry out, and how much of that at the same time. */
function counting(inner: Executor): Executor & { readonly jobs: string[][]; readonly most: number } {
  const jobs: string[][] = [];
  let now = 0;
  let most = 0;
  return {
    jobs,
    get most() {
      return most;
    },
    async connect(settings, logger) {
      const connection = await inner.connect(settings, logger);
      const run: DeviceConnection['run'] = async (job, onEvent, signal) => {
        jobs.push(job.models.map(({ id }) => id));
        most = Math.max(most, ++now);
        try {
          return await connection.run(job, onEvent, signal);
        } finally {
          now--;
        }
      };
      return { ...connection, run };
    },
  };
}

/** Results in the order in which they came, each of them once. */
function keeper(): {
  readonly kept: Map<string, LatencyMeasurement>;
  readonly failures: Map<string, string>;
  readonly onResult: (id: string, measurement: LatencyMeasurement) => void;
  readonly onFailure: (id: string, reason: string) => void;
} {
  const kept = new Map<string, LatencyMeasurement>();
  const failures = new Map<string, string>();
  return {
    kept,
    failures,
    onResult(id, measurement) {
      expect(kept.has(id)).toBe(false);
      kept.set(id, measurement);
    },
    onFailure: (id, reason) => void failures.set(id, reason),
  };
}

describe('a measurement over a network', () => {
  it('that is cut again and again goes on where it was: one job, each model measured once', async () => {
    const executor = counting(localExecutor);
    const agent = await startAgent({ executor: spaced(executor, 100) });
    const proxy = await startNetwork(agent.port);
    const { kept, failures, onResult, onFailure } = keeper();
    let cuts = 0;
    const results = await measureModels(
      remoteProfile({ ...agent, url: proxy.url }),
      models(6),
      briefProtocol,
      {
        onFailure,
        onResult: async (id, measurement) => {
          onResult(id, measurement);
          if (kept.size % 2 === 0) return;
          cuts++;
          proxy.cut();
          await sleep(100);
          proxy.mend();
        },
      },
    );
    expect(cuts).toBe(3);
    expect([...kept.keys()].sort()).toEqual(models(6).map(({ id }) => id));
    expect(results).toEqual(kept);
    expect(failures.size).toBe(0);
    expect(executor.jobs).toHaveLength(1);
  });

  it('sends a model once, also when it is cut while it sends', async () => {
    const agent = await startAgent();
    const proxy = await startNetwork(agent.port);
    const profile = remoteProfile({ ...agent, url: proxy.url });
    const large = [{ id: 'large', onnx: () => heavyModel(3_000_000) }];
    const cutting = setInterval(() => {
      if (proxy.sentBytes < 1_000_000) return;
      clearInterval(cutting);
      proxy.cut();
      setTimeout(() => proxy.mend(), 200);
    }, 1);
    expect((await measureModels(profile, large, briefProtocol)).size).toBe(1);
    expect(proxy.sentBytes).toBeGreaterThan(3_000_000);
    const before = proxy.sentBytes;
    expect((await measureModels(profile, large, briefProtocol)).size).toBe(1);
    expect(proxy.sentBytes - before).toBeLessThan(50_000);
  });

  it('that stays away ends with a reason: what was measured is kept, and no model is blamed', async () => {
    const agent = await startAgent({ executor: holding(localExecutor, 1) });
    const proxy = await startNetwork(agent.port);
    const { kept, failures, onResult, onFailure } = keeper();
    const profile = remoteProfile({ ...agent, url: proxy.url }, { patienceSeconds: 1 });
    const measuring = measureModels(profile, models(3), briefProtocol, {
      onFailure,
      onResult: (id, measurement) => {
        onResult(id, measurement);
        proxy.cut();
      },
    });
    await expect(measuring).rejects.toThrow(UserError);
    await expect(measuring).rejects.toThrow(
      /Cannot reach the agent at http:\/\/127\.0\.0\.1:\d+: the connection broke/,
    );
    expect(kept.size).toBe(1);
    expect(failures.size).toBe(0);
  });
});

/** The null model with a weight of so many bytes that nothing uses. */
function heavyModel(bytes: number): Uint8Array {
  const model = onnxProto.onnx.ModelProto.decode(nullModel());
  model.graph!.initializer!.push({
    name: 'w',
    dims: [bytes / 4],
    dataType: 1,
    rawData: new Uint8Array(bytes),
  });
  return onnxProto.onnx.ModelProto.encode(model).finish();
}

describe('an agent whose folder was damaged', () => {
  it('asks for the model again, and measures what was meant', async () => {
    const agent = await startAgent();
    const profile = remoteProfile(agent);
    await measureModels(profile, models(2), briefProtocol);
    const folder = join(agent.folder, 'models');
    const [name] = await readdir(folder);
    const bytes = await readFile(join(folder, name!));
    bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 1;
    await writeFile(join(folder, name!), bytes);
    expect((await measureModels(profile, models(2), briefProtocol)).size).toBe(2);
    expect(agent.lines.filter((line) => /it is damaged: .*; it is asked for again$/.test(line))).toHaveLength(
      1,
    );
    bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 1;
    expect(bytes.equals(await readFile(join(folder, name!)))).toBe(true);
  });
});

describe('an agent that is stopped in the middle', () => {
  /** Stops the agent when `after` results are there, and starts it again in the same place. */
  async function interrupted(
    between: (agent: TestAgent) => Promise<void>,
    second: Partial<AgentOptions> = {},
  ): Promise<{ ids: string[]; jobs: readonly string[][] }> {
    const executor = counting(localExecutor);
    const first = await startAgent({ executor: holding(executor, 2) });
    const { kept, failures, onResult, onFailure } = keeper();
    let restarted: Promise<void> | undefined;
    const restart = async (): Promise<void> => {
      await first.close();
      await between(first);
      const { port, token, folder } = first;
      await startAgent({ executor, port, token, folder, ...second });
    };
    await measureModels(remoteProfile(first), models(5), briefProtocol, {
      onFailure,
      onResult: (id, measurement) => {
        onResult(id, measurement);
        if (kept.size === 2) restarted = restart();
      },
    });
    await restarted;
    expect(failures.size).toBe(0);
    return { ids: [...kept.keys()].sort(), jobs: executor.jobs };
  }

  it('is asked again for what is left', async () => {
    const { ids, jobs } = await interrupted(() => Promise.resolve());
    expect(ids).toEqual(models(5).map(({ id }) => id));
    expect(jobs.map(({ length }) => length)).toEqual([5, 3]);
  });

  it('is asked again also where it forgot everything', async () => {
    const { ids, jobs } = await interrupted(async ({ folder }) => {
      for (const part of ['jobs', 'models']) await rm(join(folder, part), { recursive: true });
    });
    expect(ids).toEqual(models(5).map(({ id }) => id));
    expect(jobs.map(({ length }) => length)).toEqual([5, 3]);
  });

  it('is not believed where it comes back as another device', async () => {
    const other: Executor = {
      async connect(settings, logger) {
        const connection = await localExecutor.connect(settings, logger);
        return {
          ...connection,
          fingerprint: { ...connection.fingerprint, runtime: 'onnxruntime-node 9.9.9' },
        };
      },
    };
    await expect(interrupted(() => Promise.resolve(), { executor: other })).rejects.toThrow(
      'Cannot measure on device "remote-test": it is no longer what it was when it was asked: connect to it again',
    );
  });

  it('three times by the same model gives the blame to that model', async () => {
    const folders: TestAgent[] = [];
    let current = await startAgent();
    folders.push(current);
    const { port, token } = current;
    let stops = 0;
    const deadly: Executor = {
      async connect(settings, logger) {
        const connection = await localExecutor.connect(settings, logger);
        const run: DeviceConnection['run'] = (job, onEvent, signal) =>
          connection.run(
            job,
            (event) => {
              onEvent(event);
              if (event.type !== 'step' || event.id !== 'model 1' || stops > folders.length - 1) return;
              stops++;
              const old = current;
              void (async () => {
                await old.close();
                current = await startAgent({ executor: deadly, port, token });
                folders.push(current);
              })();
            },
            signal,
          );
        return { ...connection, run };
      },
    };
    await current.close();
    current = await startAgent({ executor: deadly, port, token });
    folders.splice(0, 1, current);
    const { kept, failures, onResult, onFailure } = keeper();
    await measureModels(
      remoteProfile(current),
      models(3),
      { ...briefProtocol, interleave: 3 },
      { onResult, onFailure },
    );
    expect(Object.fromEntries(failures)).toEqual({
      'model 1': expect.stringMatching(/^the agent .*\(3 times at the same place\)$/) as string,
    });
    expect([...kept.keys()].sort()).toEqual(['model 0', 'model 2']);
  });
});

describe('two hosts that ask one agent', () => {
  it('are served one after the other; the second hears how many are ahead', async () => {
    const executor = counting(localExecutor);
    const agent = await startAgent({ executor });
    const loggers = [listeningLogger(), listeningLogger()];
    const ids = await Promise.all(
      loggers.map(async (logger, i) => {
        const own = [0, 1, 2].map((j) => ({ id: `host ${i} model ${j}`, onnx: nullModel }));
        const results = await measureModels(
          remoteProfile(agent),
          own,
          { ...briefProtocol, interleave: 2 },
          { logger },
        );
        return [...results.keys()].sort();
      }),
    );
    expect(ids).toEqual([0, 1].map((i) => [0, 1, 2].map((j) => `host ${i} model ${j}`)));
    expect(executor.jobs).toHaveLength(4);
    expect(executor.most).toBe(1);
    expect(loggers.flatMap(({ lines }) => [...lines])).toContain(
      'Waiting for device "remote-test": 1 job ahead',
    );
  });

  it('wait for each other where the agent takes one job only', async () => {
    const executor = counting(localExecutor);
    const agent = await startAgent({ executor, limits: { maxJobs: 1 } });
    const measure = (i: number): Promise<Map<string, LatencyMeasurement>> =>
      measureModels(remoteProfile(agent), [{ id: `${i}`, onnx: nullModel }], briefProtocol);
    const sizes = await Promise.all([0, 1, 2].map(async (i) => (await measure(i)).size));
    expect(sizes).toEqual([1, 1, 1]);
    expect(executor.most).toBe(1);
  });
});

describe('a model that takes too much memory', () => {
  it.skipIf(process.platform === 'win32')('is stopped and named; the others are measured', async () => {
    const agent = await startAgent({ executor: createLocalExecutor({ maxMemoryBytes: 400 * 2 ** 20 }) });
    const side = 16_384;
    const greedy = smallModel(
      [
        { opType: 'Shape', input: ['x'], output: ['shape'] },
        { opType: 'Mul', input: ['shape', 'shape'], output: ['large shape'] },
        { opType: 'ReduceMax', input: ['x'], output: ['one'] },
        { opType: 'Expand', input: ['one', 'large shape'], output: ['large'] },
        { opType: 'ReduceMax', input: ['large'], output: ['y'] },
      ],
      [1, side],
      [1, 1],
    );
    const { kept, failures, onResult, onFailure } = keeper();
    await measureModels(
      remoteProfile(agent),
      [
        { id: 'before', onnx: nullModel },
        { id: 'greedy', onnx: greedy },
        { id: 'after', onnx: () => blockModel(8) },
      ],
      briefProtocol,
      { onResult, onFailure },
    );
    expect(Object.fromEntries(failures)).toEqual({ greedy: 'it took more than 400 MiB of memory' });
    expect([...kept.keys()].sort()).toEqual(['after', 'before']);
  });
});
