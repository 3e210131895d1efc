/** Networks that are trained on: tiny ones, on the real runtime. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelArchitecture } from '../../src/export/modelArchitecture.js';
import { finetune, type FinetuneRequest } from '../../src/pipeline/finetune.js';
import { openRun, type SupernetRun } from '../../src/pipeline/run.js';
import { train } from '../../src/pipeline/train.js';
import { canonical } from '../../src/space/canonical.js';
import { createSpace, type SearchSpace } from '../../src/space/space.js';
import { loadCheckpoint, saveCheckpoint } from '../../src/supernet/checkpoint.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { readMetrics } from '../../src/training/metrics.js';
import { InterruptedError, UserError } from '../../src/util/errors.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { fewDigits } from '../cli/support/fixture.js';
import { tinySchedule, tinySpace } from '../training/support/runs.js';

const space = tinySpace({ imageSizes: [12], dropout: 0.1 });
let root: string;
let data: string;
let run: SupernetRun;

const arch = { ...space.largest, ks: [5, 3], e: [2, 1], d: [2] };
const schedule = tinySchedule({
  phases: [{ name: 'barely', epochs: 0.5, learningRate: 0.3, subnets: ['largest', 'random'] }],
});
const request = (folder: string, rest: Partial<FinetuneRequest> = {}): FinetuneRequest => ({
  run,
  arch,
  folder,
  epochs: 1,
  batchSize: 16,
  seed: 3,
  threads: 2,
  workers: 0,
  evaluation: { calibrationImages: 64, calibrationBatch: 32, evaluationBatch: 32 },
  logger: silentLogger,
  ...rest,
});
const newFolder = (): Promise<string> => mkdtemp(join(root, 'run-'));

async function untrained(of: SearchSpace): Promise<SupernetRun> {
  const folder = await newFolder();
  await saveCheckpoint(folder, { space: of, weights: initialiseWeights(of, 0), data: null, position: null });
  return openRun(folder);
}

/** Images of three colours, each a class. */
async function colours(folder: string): Promise<string> {
  for (const [i, name] of ['red', 'green', 'blue'].entries()) {
    await mkdir(join(folder, name), { recursive: true });
    for (let n = 0; n < 20; n++) {
      const [r, g, b] = [0, 1, 2].map((channel) => (channel === i ? 250 - n : 5 * n));
      const image = sharp({ create: { width: 12, height: 12, channels: 3, background: { r, g, b } } });
      await image.png().toFile(join(folder, name, `${n}.png`));
    }
  }
  return `imagefolder:${folder}`;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ofakit-finetune-'));
  data = fewDigits(join(root, 'digits'), 60);
  const folder = await newFolder();
  await train({
    space,
    data,
    schedule,
    folder,
    seed: 1,
    threads: 2,
    workers: 0,
    evaluation: { calibrationImages: 32, calibrationBatch: 32, limit: 8 },
    logger: silentLogger,
  });
  run = await openRun(folder);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('finetune', () => {
  it('makes a barely trained subnet better, and exports what it scored', async () => {
    const folder = await newFolder();
    const result = await finetune(request(folder, { epochs: 6, learningRate: 0.2 }));
    // About 60 images each: by chance alone the difference of two scores stays far below.
    expect(result.after.validation).toBeGreaterThan(result.before!.validation + 0.2);
    expect(result.after.test).toBeGreaterThan(result.before!.test + 0.2);
    expect(result.verification.passed).toBe(true);
    expect(result.architecture).toMatchObject({ image_size: 12, d: [2], ks: [5, 3], e: [2, 1] });

    const made = await openRun(folder);
    expect(made.weightsSha256).toBe(result.weightsSha256);
    expect(made.data).toMatchObject({ name: 'mnist' });
    expect(made.space.network(made.space.largest).blocks.map(({ key }) => key)).toEqual(
      space.network(arch).blocks.map(({ key }) => key),
    );
    const validated = (await readMetrics(join(folder, 'metrics.jsonl'))).filter(
      (metric) => metric.kind === 'validation',
    );
    expect(validated.map(({ subnet }) => subnet)).toEqual(Array.from({ length: 6 }, () => 'largest'));
    expect(validated.at(-1)!.top1).toBe(result.after.validation);
    expect(await modelArchitecture(result.onnx, space)).toEqual(canonical(space.genes, arch));

    // What it made is a run: it goes on from there.
    const again = await finetune(request(await newFolder(), { run: made, arch: made.space.largest }));
    expect(again.before).toEqual(result.after);
  });

  it('goes on where it was stopped, and ends with the same bits', async () => {
    const whole = await finetune(request(await newFolder()));
    const folder = await newFolder();
    const controller = new AbortController();
    const logger: Logger = {
      ...silentLogger,
      // After the first line of metrics.
      progress: (...args) => ({
        ...silentLogger.progress(...args),
        update: (done) => {
          if (done >= 20) controller.abort();
        },
      }),
    };
    const stopped = finetune(request(folder, { logger, signal: controller.signal }));
    await expect(stopped).rejects.toThrow(InterruptedError);
    const { position } = await loadCheckpoint(folder);
    expect(position).toMatchObject({ step: 20, init: run.weightsSha256 });
    const resumed = await finetune(request(folder));
    const same = ['weightsSha256', 'before', 'after', 'steps', 'verification'] as const;
    for (const key of same) expect(resumed[key]).toEqual(whole[key]);
    expect(await readFile(resumed.onnx)).toEqual(await readFile(whole.onnx));

    await expect(finetune(request(folder, { epochs: 2 }))).rejects.toThrow(/started with another schedule/);
    await expect(finetune(request(folder, { arch: space.smallest }))).rejects.toThrow(/another space/);
    const other = { ...run, weightsSha256: 'a'.repeat(64) };
    await expect(finetune(request(folder, { run: other }))).rejects.toThrow(/another init/);
  });

  it('learns other classes with a new classifier', async () => {
    const colourful = tinySpace({ imageSizes: [12], inputChannels: 3 });
    const folder = await newFolder();
    const images = await colours(join(root, 'colours'));
    const result = await finetune(
      request(folder, { run: await untrained(colourful), data: images, epochs: 8, learningRate: 0.2 }),
    );
    expect(result.before).toBeNull();
    expect(result.after.validation).toBeGreaterThan(0.8);
    const made = await openRun(folder);
    expect(made.space.parameters.classes).toBe(3);
    expect(result.verification.metadata.classes).toEqual(['blue', 'green', 'red']);
  });

  it('refuses data of other channels than grey and colour, an architecture outside the space, data that nobody knows', async () => {
    const folder = join(root, 'never');
    const images = await colours(join(root, 'refused'));
    const four = await untrained(tinySpace({ imageSizes: [12], inputChannels: 4, dropout: 0 }));
    await expect(finetune(request(folder, { run: four, data: images }))).rejects.toThrow(
      'images have 1 channel (grey) or 3 (colour): the space takes 4',
    );
    await expect(finetune(request(folder, { arch: { ...arch, d: [3] } }))).rejects.toThrow(
      /d\[0\] must be one of 1, 2: current value is 3/,
    );
    await expect(finetune(request(folder, { run: await untrained(space) }))).rejects.toThrow(/--data/);
    await expect(stat(folder)).rejects.toThrow('ENOENT');
  });
});

describe('train with init', () => {
  const start = (folder: string, init: string, of = space) =>
    train({
      space: of,
      data,
      init,
      schedule: tinySchedule({
        phases: [{ name: 'on', epochs: 0.1, learningRate: 1e-9, subnets: ['random'] }],
      }),
      folder,
      seed: 2,
      threads: 2,
      workers: 0,
      evaluation: { calibrationImages: 32, calibrationBatch: 32, limit: 8 },
      logger: silentLogger,
    });

  it('starts from the weights of a run, or of a file, and remembers from which', async () => {
    const folder = await newFolder();
    const { weights } = await start(folder, run.folder);
    // The rate is next to nothing, so but for batch-norm statistics the weights are those of the run.
    for (const [name, { data: values }] of run.weights) {
      if (/running/.test(name)) continue;
      const found = weights.get(name)!.data;
      expect(Math.max(...values.map((v, i) => Math.abs(v - found[i]!)))).toBeLessThan(1e-5);
    }
    expect((await loadCheckpoint(folder)).position).toMatchObject({ init: run.weightsSha256 });

    const file = join(root, 'weights.safetensors');
    const [name] = (await readdir(run.folder)).filter((n) => n.startsWith('supernet-'));
    await copyFile(join(run.folder, name!), file);
    expect((await start(await newFolder(), file)).weights).toEqual(weights);
    // The same file under another name is the same start.
    expect((await start(folder, file)).weights).toEqual(weights);

    const elsewhere = (await untrained(space)).folder;
    await expect(start(folder, elsewhere)).rejects.toThrow(/started with another init/);
  });

  it('lists the tensors of a space that is another', async () => {
    const wider = createSpace(space.file, { width: 2 });
    const error: unknown = await start(join(root, 'never'), run.folder, wider).catch(
      (cause: unknown) => cause,
    );
    expect(error).toBeInstanceOf(UserError);
    const [first, ...rest] = (error as UserError).message.split('\n');
    expect(first).toBe(`Cannot start from ${run.folder}: its tensors must be those of space "tiny":`);
    expect(rest[0]).toMatch(/^ {2}wrong shape: stem\S* must be \[16, 1, 3, 3\]: it is \[8, 1, 3, 3\]$/);
    await expect(stat(join(root, 'never'))).rejects.toThrow('ENOENT');
  });

  it('says that there is no run', async () => {
    await expect(start(join(root, 'never'), join(root, 'nowhere'))).rejects.toThrow(
      /there is no supernet in it/,
    );
  });
});
