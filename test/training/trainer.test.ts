import { createHash } from 'node:crypto';
import { existsSync, rmSync, symlinkSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import type { Dataset } from '../../src/data/dataset.js';
import { createLoader } from '../../src/data/loader.js';
import type { Runtime } from '../../src/pipeline/runtime.js';
import { isDecayed } from '../../src/space/parameters.js';
import { sortChannels } from '../../src/supernet/channelSorting.js';
import { loadCheckpoint } from '../../src/supernet/checkpoint.js';
import { initialiseWeights, zeroTensors, type SupernetWeights } from '../../src/supernet/weights.js';
import { readMetrics } from '../../src/training/metrics.js';
import { Sgd } from '../../src/training/optimizer.js';
import { learningRateAt, planSchedule, type Schedule } from '../../src/training/schedule.js';
import { copyTensors, trainableParameters } from '../../src/training/state.js';
import { accumulateStep, drawImageSize } from '../../src/training/step.js';
import { trainSupernet } from '../../src/training/trainer.js';
import { UserError } from '../../src/util/errors.js';
import { digits, runTiny, tinySchedule, tinySpace, twoThreads, type TinyRun } from './support/runs.js';

let root: string;
let runtime: Runtime;
let dataset: Dataset;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ofakit-trainer-'));
  [runtime, dataset] = await Promise.all([twoThreads(), digits(64)]);
});
afterAll(async () => {
  await runtime.dispose();
  await rm(root, { recursive: true });
});

const newFolder = (): Promise<string> => mkdtemp(join(root, 'run-'));
const run = (folder: string, rest: Partial<TinyRun> = {}) =>
  runTiny({ folder, runtime, dataset, validates: false, ...rest });
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** One phase with one random subnet a step. */
const shortSchedule = (epochs: number, learningRate = 0.1): Schedule =>
  tinySchedule({ phases: [{ name: 'short', epochs, learningRate, subnets: ['random'] }] });

/** What a promise rejects with: a UserError of one line. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(UserError);
  const { message } = error as UserError;
  expect(message).not.toContain('\n');
  return message;
}

describe('training', () => {
  it('learns digits: the loss falls and validation beats chance by far', async () => {
    const folder = await newFolder();
    const schedule = tinySchedule({
      batchSize: 20,
      labelSmoothing: 0,
      phases: [{ name: 'all', epochs: 6, learningRate: 1, warmupEpochs: 1, subnets: ['largest', 'random'] }],
    });
    await run(folder, {
      dataset: await digits(200, 100),
      validates: true,
      training: { space: tinySpace({ imageSizes: [12], dropout: 0 }), schedule, validateEveryEpochs: 100 },
    });
    const metrics = await readMetrics(join(folder, 'metrics.jsonl'));
    const losses = metrics.filter(({ kind }) => kind === 'step').map(({ loss }) => loss);
    expect(losses).toHaveLength(3);
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
    expect(losses[2]).toBeLessThan(0.9 * losses[0]!);
    const validated = metrics.filter((metric) => metric.kind === 'validation');
    expect(validated.map(({ subnet }) => subnet)).toEqual(['largest', 'smallest', 'random 0', 'random 1']);
    // Of 24 images: by chance one run in a thousand gets this far.
    expect(validated[0]!.top1).toBeGreaterThan(0.3);
  });

  it('does exactly what its parts do: draws, gradients, rate, update, sorting, an optimiser at rest', async () => {
    const space = tinySpace();
    const seed = 3;
    const schedule = tinySchedule({
      weightDecay: 0.01,
      phases: [
        { name: 'a', epochs: 0.5, learningRate: 0.3, subnets: ['random', 'random'] },
        {
          name: 'b',
          epochs: 0.5,
          learningRate: 0.2,
          warmupEpochs: 0.25,
          subnets: ['random'],
          sortChannels: true,
        },
      ],
    });
    const { weights: found } = await run(await newFolder(), { training: { space, schedule, seed } });

    const loader = await createLoader({ dataset, batchSize: 16, seed, workers: 0 });
    const parameters = trainableParameters(space);
    const decayed = new Set(parameters.filter(({ role }) => isDecayed(role)).map(({ name }) => name));
    let weights: SupernetWeights = initialiseWeights(space, seed);
    const { momentum, weightDecay, labelSmoothing } = schedule;
    for (const plan of planSchedule(schedule, loader.stepsPerEpoch)) {
      if (plan.phase.name === 'b') ({ weights } = sortChannels(space, weights, 0));
      const optimizer = new Sgd(weights, zeroTensors(parameters), decayed);
      ({ weights } = optimizer);
      for (let i = 0; i < plan.steps; i++) {
        const step = plan.start + i;
        const imageSize = drawImageSize(space, plan.phase, seed, step);
        const batch = await loader.trainBatch(0, step, imageSize);
        const { executor } = runtime;
        const context = {
          space,
          executor,
          weights,
          gradients: optimizer,
          teacher: undefined,
          labelSmoothing,
          seed,
        };
        await accumulateStep(context, plan.phase, step, batch);
        const learningRate = learningRateAt(plan, i, 16);
        optimizer.step({ learningRate, momentum, weightDecay });
      }
    }
    await loader.close();
    expect(found).toEqual(weights);
  });

  it('begins with the weights it is given, and leaves those alone', async () => {
    const initialWeights = initialiseWeights(tinySpace(), 'other');
    const before = copyTensors(initialWeights);
    const given = await run(await newFolder(), {
      training: { schedule: shortSchedule(0.25), initialWeights },
    });
    const own = await run(await newFolder(), { training: { schedule: shortSchedule(0.25) } });
    expect(initialWeights).toEqual(before);
    expect(given.weightsSha256).not.toBe(own.weightsSha256);
  });

  it('keeps the network at the end of the phase before as teacher', async () => {
    const folder = await newFolder();
    const controller = new AbortController();
    const stopped = run(folder, {
      beforeStep: (step) => {
        if (step === 5) controller.abort();
      },
      training: { signal: controller.signal },
    });
    await expect(stopped).rejects.toThrow('Stopped at step 6');
    const { weightsSha256 } = await loadCheckpoint(folder);
    await run(folder);
    expect(sha256(await readFile(join(folder, 'teacher.safetensors')))).toBe(weightsSha256);
  });

  it('saves when the clock says so', async () => {
    /** Steps of the checkpoints that the folder had while the run went on. */
    const saved = async (checkpointSeconds: number): Promise<Set<number>> => {
      const folder = await newFolder();
      const steps = new Set<number>();
      let now = 0;
      const validate = () => async () => {
        const { position } = await loadCheckpoint(folder);
        steps.add((position as { step: number }).step);
        return { top1: 0, top5: 0, loss: 0, count: 1 };
      };
      const schedule = shortSchedule(1);
      const clock = () => (now += 1000);
      await run(folder, {
        training: { schedule, checkpointSeconds, clock, validate, validateEveryEpochs: 0.25 },
      });
      return steps;
    };
    expect(await saved(0)).toEqual(new Set([0, 1, 2, 3]));
    expect(await saved(1e9)).toEqual(new Set([0]));
  });

  it('validates every epoch, but not more often than every 50 steps', async () => {
    const steps: number[] = [];
    const folder = await newFolder();
    const validate = () => async () => {
      const { position } = await loadCheckpoint(folder);
      steps.push((position as { step: number }).step);
      return { top1: 0, top5: 0, loss: 0, count: 1 };
    };
    const clock = (() => {
      let now = 0;
      return () => (now += 1e6);
    })();
    // Saved after every step, before which it validates: the step that is seen is the one before.
    await run(folder, { training: { schedule: shortSchedule(14), checkpointSeconds: 0, clock, validate } });
    const seen = [...new Set(steps)];
    const total = (await loadCheckpoint(folder)).position as { step: number };
    expect(total.step).toBeGreaterThan(50);
    expect(seen).toEqual([49, total.step - 1]);
  }, 60_000);

  it('refuses batches of another size than the schedule has', async () => {
    const loader = await createLoader({ dataset, batchSize: 8, seed: 1, workers: 0 });
    const options = {
      space: tinySpace(),
      schedule: shortSchedule(1),
      seed: 1,
      loader,
      executor: runtime.executor,
    };
    const wrong = trainSupernet({ ...options, folder: await newFolder() });
    await expect(wrong).rejects.toThrow(/batches of 16 images: it made one of 8/);
    await loader.close();
  });
});

describe('a folder with another run', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await newFolder();
    await run(folder, { training: { schedule: shortSchedule(0.5) } });
  });

  const other = (training: TinyRun['training'], rest: Partial<TinyRun> = {}) =>
    refusal(run(folder, { ...rest, training: { schedule: shortSchedule(0.5), ...training } }));

  it('is refused, naming what differs', async () => {
    expect(await other({ seed: 8 })).toMatch(/another seed/);
    expect(await other({ schedule: shortSchedule(0.5, 0.2) })).toMatch(/another schedule/);
    expect(await other({ epochsScale: 2 })).toMatch(/another epochsScale/);
    expect(await other({ space: tinySpace({ expand: [2, 3] }) })).toMatch(/another space/);
    expect(await other({}, { dataset: await digits(32) })).toMatch(/another stepsPerEpoch/);
    const split = { ...dataset, source: (await openDataset('mnist', { splitSeed: 1 })).source };
    expect(await other({}, { dataset: split })).toMatch(/another data/);
    expect(await other({ seed: 8 })).toContain(folder);
  });

  it('is not refused for the order of keys', async () => {
    const schedule = shortSchedule(0.5);
    const turned = Object.fromEntries(Object.entries(schedule).reverse()) as unknown as Schedule;
    const { steps } = await run(folder, { training: { schedule: turned } });
    expect(steps).toBe(2);
  });
});

describe('a damaged folder', () => {
  let whole: string;
  beforeAll(async () => {
    whole = await newFolder();
    const controller = new AbortController();
    const stopped = run(whole, {
      beforeStep: (step) => {
        if (step === 7) controller.abort();
      },
      training: { signal: controller.signal },
    });
    await expect(stopped).rejects.toThrow('Stopped at step 8');
  });

  /** Refusal of a copy in which one file was changed. */
  async function after(pattern: RegExp, change: (path: string) => Promise<void>): Promise<string> {
    const folder = await newFolder();
    await cp(whole, folder, { recursive: true });
    const name = (await readdir(folder)).find((file) => pattern.test(file))!;
    await change(join(folder, name));
    return refusal(run(folder));
  }
  const half = async (path: string): Promise<void> => truncate(path, (await readFile(path)).length >> 1);

  it.each([/^supernet-/, /^optimizer-/])('names the truncated file %s', async (pattern) => {
    expect(await after(pattern, half)).toMatch(/-[0-9a-f]{16}\.safetensors: its SHA-256 must be .* damaged/);
  });

  it('names a truncated or missing teacher', async () => {
    expect(await after(/^teacher/, half)).toMatch(/teacher\.safetensors is not the teacher/);
    expect(await after(/^teacher/, (path) => rm(path))).toMatch(
      /teacher\.safetensors: there is no such file/,
    );
  });

  it('says what is wrong with supernet.json', async () => {
    expect(await after(/^supernet\.json/, half)).toMatch(/supernet\.json: it is not JSON/);
    const edit = (change: (content: Record<string, unknown>) => void) => async (path: string) => {
      const content = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
      change(content);
      await writeFile(path, JSON.stringify(content));
    };
    expect(
      await after(
        /^supernet\.json/,
        edit((c) => delete c['optimizer']),
      ),
    ).toMatch(/optimiser state.*missing/);
    expect(
      await after(
        /^supernet\.json/,
        edit((c) => (c['optimizer'] = c['weights'])),
      ),
    ).toMatch(/optimiser state.*unexpected: .*running/);
    expect(
      await after(
        /^supernet\.json/,
        edit((c) => (c['position'] = null)),
      ),
    ).toMatch(/key "position"/);
  });

  it('names the line of metrics that is no metric', async () => {
    const message = await after(/^metrics/, (path) => writeFile(path, '{"kind":"step"}\n'));
    expect(message).toMatch(/metrics\.jsonl, line 1/);
  });
});

describe('a disk that refuses', () => {
  it('is one line where the folder cannot be made', async () => {
    const file = join(root, 'a-file');
    await writeFile(file, '');
    expect(await refusal(run(join(file, 'run')))).toMatch(/Cannot write .*a-file\/run\//);
    expect(await refusal(run(file))).toMatch(/Cannot write .*a-file\//);
  });

  // Not by permissions, which root ignores.
  it.skipIf(!existsSync('/dev/full'))(
    'is one line when it is full, and the run goes on once there is room',
    async () => {
      const folder = await newFolder();
      const metrics = join(folder, 'metrics.jsonl');
      const training = { schedule: shortSchedule(1) };
      const full = run(folder, {
        beforeStep: (step) => {
          if (step !== 2) return;
          rmSync(metrics);
          symlinkSync('/dev/full', metrics);
        },
        training,
      });
      expect(await refusal(full)).toMatch(
        /metrics\.jsonl: the disk is full; free some space and run the same command/,
      );
      rmSync(metrics);
      const resumed = await run(folder, { training });
      expect(resumed.weightsSha256).toBe((await run(await newFolder(), { training })).weightsSha256);
    },
  );
});

describe('divergence', () => {
  it('is a UserError that says what to do, and no checkpoint holds its weights', async () => {
    const folder = await newFolder();
    const message = await refusal(run(folder, { training: { schedule: shortSchedule(2, 1e30) } }));
    expect(message).toMatch(/^Training diverged at step \d+: .*lower learningRate/);
    const { weights, position } = await loadCheckpoint(folder);
    expect(position).toMatchObject({ step: 0 });
    expect(weights).toEqual(initialiseWeights(tinySpace(), 7));
  });

  it('is noticed where only the last update went out of bounds', async () => {
    const message = await refusal(
      run(await newFolder(), { training: { schedule: shortSchedule(0.25, 1e45) } }),
    );
    expect(message).toMatch(/^Training diverged at step 1: ".*" is not finite/);
  });
});
