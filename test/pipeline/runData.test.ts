/** Whose names, labels and normalisation count: the run's, whatever data it is used with. */
import { cp, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import { DATA_RECORD_FILE, readDataRecord } from '../../src/data/record.js';
import { verifyModel } from '../../src/export/verify.js';
import { finetune } from '../../src/pipeline/finetune.js';
import { openRun } from '../../src/pipeline/run.js';
import { openRunDataset } from '../../src/pipeline/runData.js';
import { train } from '../../src/pipeline/train.js';
import { withRun } from '../../src/pipeline/withRun.js';
import { saveCheckpoint } from '../../src/supernet/checkpoint.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { UserError } from '../../src/util/errors.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { ofa } from '../cli/support/cli.js';
import { temporaryFolder } from '../cli/support/folder.js';
import { tinySchedule, tinySpace } from '../training/support/runs.js';

const path = temporaryFolder();
const space = tinySpace({ imageSizes: [12], inputChannels: 3, classes: 3, dropout: 0 });
const CLASSES = ['ash', 'elm', 'oak'];
const evaluation = { calibrationImages: 24, calibrationBatch: 12 };

/** 12x12 images; the channel of the class is the bright one. `brightness` scales all. */
async function writeColours(
  root: string,
  classes: readonly (string | undefined)[],
  count: number,
  brightness = 1,
): Promise<void> {
  for (const [label, name] of classes.entries()) {
    if (name === undefined) continue;
    await mkdir(join(root, name), { recursive: true });
    for (let n = 0; n < count; n++) {
      const [r, g, b] = [0, 1, 2].map((channel) =>
        Math.round(brightness * (channel === label ? 240 - n : 20 + 3 * n)),
      );
      const image = sharp({ create: { width: 12, height: 12, channels: 3, background: { r, g, b } } });
      await image.png().toFile(join(root, name, `${n}.png`));
    }
  }
}

function noting(): { logger: Logger; said: string[] } {
  const said: string[] = [];
  const note = (message: string): void => void said.push(message);
  return { logger: { ...silentLogger, info: note, warn: note }, said };
}

/** Top-1 of the largest on the test part. */
const top1 = (data?: string, options: { calibrate?: boolean; logger?: Logger } = {}): Promise<number> =>
  withRun(
    path('run'),
    { threads: 1, calibrationImages: 24, data, logger: options.logger },
    async ({ evaluator }) =>
      (await evaluator.evaluate(space.largest, 'test', { calibrate: options.calibrate ?? true })).top1,
  );

beforeAll(async () => {
  await writeColours(path('base'), CLASSES, 30);
  await train({
    space,
    data: path('base'),
    schedule: tinySchedule({
      phases: [{ name: 'only', epochs: 8, learningRate: 0.3, subnets: ['largest'] }],
    }),
    folder: path('run'),
    seed: 1,
    threads: 1,
    workers: 0,
    validateEveryEpochs: 100,
    evaluation,
    logger: silentLogger,
  });
});

describe('classes of a run', () => {
  it('are recorded with its normalisation when training begins', async () => {
    const record = await readDataRecord(path('run'));
    const dataset = await openDataset(path('base'));
    expect(record).toMatchObject({ classes: CLASSES, normalisation: await dataset.normalisation() });
    expect(await top1()).toBe(1);
  });

  it('refuse data that have others, naming the difference first and both lists', async () => {
    await writeColours(path('renamed'), ['yew', 'elm', 'oak'], 30);
    const work = openRunDataset(await openRun(path('run')), { data: path('renamed') });
    await expect(work).rejects.toThrow(UserError);
    await expect(work).rejects.toThrow(
      /only the data have yew; only the run has ash; the run's 3 are ash, elm, oak; the data's 3 are elm, oak, yew/,
    );
    const digits = openRunDataset(await openRun(path('run')), { data: 'mnist' });
    await expect(digits).rejects.toThrow(
      /only the data have 0, 1, 2, 3, 4, 5, 6, 7 and 2 more; only the run/,
    );
  });

  it('take a part of them, each under its own label', async () => {
    await writeColours(path('part'), [undefined, 'elm', 'oak'], 30);
    const { logger, said } = noting();
    // Under labels of their own order hardly one would be right.
    expect(await top1(path('part'), { calibrate: false, logger })).toBeGreaterThan(0.7);
    expect(said.join('\n')).toContain(`2 of the run's 3 classes: elm, oak`);
    const seen = await openRunDataset(await openRun(path('run')), { data: path('part') });
    expect(seen.classes).toEqual(CLASSES);
    const labels = Array.from({ length: seen.splitSize('test') }, (_, i) => seen.label('test', i));
    expect(new Set(labels)).toEqual(new Set([1, 2]));
  });

  it('keep their order with data that have another', async () => {
    const { classes } = (await readDataRecord(path('run')))!;
    const run = await openRun(path('run'));
    const turned = { ...run, record: { ...run.record!, classes: [...classes].reverse() } };
    const { logger, said } = noting();
    const seen = await openRunDataset(turned, { logger });
    const own = await openDataset(path('base'));
    expect(seen.classes).toEqual(['oak', 'elm', 'ash']);
    for (let i = 0; i < own.splitSize('train'); i++) {
      expect(seen.exampleName('train', i)).toBe(own.exampleName('train', i));
      expect(seen.classes[seen.label('train', i)]).toBe(own.classes[own.label('train', i)]);
    }
    expect(said).toEqual([expect.stringContaining(`in the run's order: oak, elm, ash`)]);
  });

  it('are those of the exported file, also without data and after the folder was renamed', async () => {
    const common = ['export', '--supernet', path('run'), '--arch', 'largest'];
    const bare = await ofa([...common, '--no-calibrate', '--out', path('bare.onnx')]);
    expect(bare).toMatchObject({ code: 0 });
    const { metadata } = await verifyModel(await readFile(path('bare.onnx')));
    expect(metadata.classes).toEqual(CLASSES);
    expect(metadata.normalisation).toEqual((await readDataRecord(path('run')))!.normalisation);

    await writeColours(path('other'), ['fir', 'gum', 'nut'], 30);
    const other = await ofa([...common, '--data', path('other'), '--out', path('other.onnx')]);
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/only the data have fir, gum, nut; .*--no-calibrate/);
    await expect(readFile(path('other.onnx'))).rejects.toThrow(/ENOENT/);
  });

  it('are unknown to an imported supernet: those of the data are taken, with a word', async () => {
    await saveCheckpoint(path('imported'), {
      space,
      weights: initialiseWeights(space, 0),
      data: null,
      position: null,
    });
    const { logger, said } = noting();
    const seen = await openRunDataset(await openRun(path('imported')), { data: path('base'), logger });
    expect(seen.classes).toEqual(CLASSES);
    expect(said).toEqual([expect.stringMatching(/does not know .* classes.*ash, elm, oak/)]);
    const without = await ofa([
      'export',
      '--supernet',
      path('imported'),
      '--arch',
      'largest',
      '--out',
      path('x'),
    ]);
    expect(without.code).toBe(1);
    expect(without.stderr).toMatch(/--data, or .*--no-calibrate/);
  });

  it('are new for a network finetuned on others of the same number, and kept in order on the same', async () => {
    const run = await openRun(path('run'));
    const options = { run, arch: space.largest, epochs: 1, batchSize: 16, seed: 3, threads: 1, workers: 0 };
    const settings = { ...options, evaluation, logger: silentLogger };
    const other = await finetune({ ...settings, data: path('other'), folder: path('fine') });
    expect(other.before).toBeNull();
    expect(other.verification.metadata.classes).toEqual(['fir', 'gum', 'nut']);
    const turned = { ...run, record: { ...run.record!, classes: ['oak', 'elm', 'ash'] } };
    const same = await finetune({ ...settings, run: turned, folder: path('same') });
    expect(same.verification.metadata.classes).toEqual(['oak', 'elm', 'ash']);
    expect((await openRun(path('same'))).record?.classes).toEqual(['oak', 'elm', 'ash']);
  });
});

describe('normalisation of a run', () => {
  it('stays when the training images become darker', async () => {
    await cp(path('run'), path('dark-run'), { recursive: true });
    await rename(path('base'), path('kept'));
    await writeColours(path('base'), CLASSES, 30, 0.2);
    try {
      const run = await openRun(path('run'));
      const seen = await openRunDataset(run);
      const dark = await openDataset(path('base'));
      expect((await dark.normalisation()).mean[0]).toBeLessThan(0.2);
      expect(await seen.normalisation()).toEqual(run.record!.normalisation);
      expect(run.record!.normalisation.mean[0]).toBeGreaterThan(0.3);
      await withRun(run, { threads: 1 }, ({ loader }) => {
        expect(loader.normalisation).toEqual(run.record!.normalisation);
        return Promise.resolve();
      });
    } finally {
      await rm(path('base'), { recursive: true });
      await rename(path('kept'), path('base'));
    }
  });
});

describe('a run of before there were records', () => {
  it('takes names and normalisation from its data once, with a word, and keeps them', async () => {
    await cp(path('run'), path('old'), { recursive: true });
    const record = await readDataRecord(path('old'));
    await rm(path(`old/${DATA_RECORD_FILE}`));
    const { logger, said } = noting();
    const seen = await openRunDataset(await openRun(path('old')), { logger });
    expect(seen.classes).toEqual(CLASSES);
    expect(said).toEqual([expect.stringMatching(/older version.*ash, elm, oak/)]);
    expect(await readDataRecord(path('old'))).toEqual(record);
    await openRunDataset(await openRun(path('old')), { logger });
    expect(said).toHaveLength(1);
  });

  it('takes them from its own data also where others are given', async () => {
    await rm(path(`old/${DATA_RECORD_FILE}`));
    const work = openRunDataset(await openRun(path('old')), { data: path('renamed') });
    await expect(work).rejects.toThrow(/only the data have yew/);
    expect((await readDataRecord(path('old')))?.classes).toEqual(CLASSES);
  });

  it('is told when its data are gone', async () => {
    const run = await openRun(path('old'));
    const gone = {
      ...run,
      folder: path('nowhere'),
      data: { ...run.data!, path: path('gone') },
      record: undefined,
    };
    const { logger, said } = noting();
    const seen = await openRunDataset(gone, { data: path('base'), logger });
    expect(seen.classes).toEqual(CLASSES);
    expect(said[0]).toMatch(/older version.*cannot be taken/);
  });
});
