/** Images that come and go after a run was trained: none of those it was trained on is ever in another split. */
import { copyFile, cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SPLITS, type Dataset, type DatasetSource, type Split } from '../../src/data/dataset.js';
import { openDataset, parseDatasetSpec } from '../../src/data/index.js';
import { readDataRecord, recordDataset, recordKey, writeDataRecord } from '../../src/data/record.js';
import { openRun } from '../../src/pipeline/run.js';
import { openRunData, openRunDataset } from '../../src/pipeline/runData.js';
import { train } from '../../src/pipeline/train.js';
import { saveCheckpoint } from '../../src/supernet/checkpoint.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { temporaryFolder } from '../cli/support/folder.js';
import { writeImage, writeImageFolder } from '../data/files.js';
import { tinySchedule, tinySpace } from '../training/support/runs.js';

const path = temporaryFolder();
const CLASSES = ['ant', 'bee', 'cow'];
const space = tinySpace({ imageSizes: [12], inputChannels: 3, classes: 3 });

const files = (dataset: Dataset, split: Split): string[] =>
  Array.from({ length: dataset.splitSize(split) }, (_, i) => dataset.ref(split, i).file!);
const bySplit = (dataset: Dataset): Map<string, Split> =>
  new Map(SPLITS.flatMap((split) => files(dataset, split).map((file) => [file, split] as const)));

function noting(): { logger: Logger; said: string[] } {
  const said: string[] = [];
  const note = (message: string): void => void said.push(message);
  return { logger: { ...silentLogger, info: note, warn: note }, said };
}

/** A run that "was trained" on a folder of its own; `old`: before there were records and splits by name. */
async function makeRun(perClass: number, old = false): Promise<{ run: string; images: string }> {
  const root = await mkdtemp(path('case-'));
  const [run, images] = [join(root, 'run'), join(root, 'images')];
  await writeImageFolder(images, CLASSES, perClass);
  const { splitRule, ...rest } = parseDatasetSpec(images);
  expect(splitRule).toBe('name');
  const source: DatasetSource = old ? rest : { ...rest, splitRule: 'name' };
  await saveCheckpoint(run, {
    space,
    weights: initialiseWeights(space, 0),
    data: JSON.parse(JSON.stringify(source)) as never,
    position: null,
  });
  if (!old) await writeDataRecord(run, await recordDataset(await openDataset(source)));
  return { run, images };
}

const open = async (run: string, logger: Logger = silentLogger, data?: string): Promise<Dataset> =>
  openRunDataset(await openRun(run), { logger, data });

describe.each([
  { what: 'a run', old: false },
  { what: 'a run of an older version', old: true },
])('$what', ({ old }) => {
  it('keeps every image in its split when others are added, and says which those are', async () => {
    const { run, images } = await makeRun(20, old);
    const before = bySplit(await open(run));
    expect(before.size).toBe(60);
    for (let i = 0; i < 12; i++) await writeImage(join(images, 'bee', `0new${i}.png`), 40, 30, [90, i, 9]);
    if (old) {
      // What the list as a whole decides changes with it.
      const { data } = await openRun(run);
      const anew = bySplit(await openDataset(data!));
      expect([...before].some(([file, split]) => anew.get(file) !== split)).toBe(true);
    }
    const { logger, said } = noting();
    const seen = await open(run, logger);
    const after = bySplit(seen);
    for (const [file, split] of before) expect(after.get(file)).toBe(split);
    expect(after.size).toBe(72);
    expect(said).toHaveLength(1);
    for (const split of SPLITS) {
      const added = files(seen, split).filter((file) => !before.has(file));
      if (added.length > 0) expect(said[0]).toContain(`${split} ${added.length} added (bee/0new`);
    }
    for (const split of SPLITS)
      for (let i = 0; i < seen.splitSize(split); i++)
        expect(seen.exampleName(split, i)).toContain(`/${seen.classes[seen.label(split, i)]!}/`);
  });

  it('keeps the rest where it was when images are removed, and counts those', async () => {
    const { run, images } = await makeRun(12, old);
    const before = bySplit(await open(run));
    const gone = [...before].filter(([file]) => file.startsWith('cow/')).slice(0, 8);
    for (const [file] of gone) await rm(join(images, file));
    const { logger, said } = noting();
    const after = bySplit(await open(run, logger));
    expect(after.size).toBe(28);
    for (const [file, split] of after) expect(before.get(file)).toBe(split);
    for (const split of SPLITS) {
      const removed = gone.filter(([, was]) => was === split).length;
      if (removed > 0) expect(said[0]).toContain(`${split} ${removed} removed (cow/`);
    }
  });

  it('knows a training image under another name, and a copy of one', async () => {
    const { run, images } = await makeRun(16, old);
    const before = await open(run);
    const trained = files(before, 'train');
    for (const [i, file] of trained.entries()) {
      const name = `other-${i}${file.slice(file.lastIndexOf('.'))}`;
      const folder = join(images, file.slice(0, file.indexOf('/')));
      if (i % 2 === 0) await rename(join(images, file), join(folder, name));
      else await copyFile(join(images, file), join(folder, name));
    }
    const after = await open(run);
    const others = ['validation', 'test'] as const;
    for (const split of others) expect(files(after, split).sort()).toEqual(files(before, split).sort());
    expect(after.splitSize('train')).toBe(trained.length + Math.floor(trained.length / 2));
  });

  it('splits a copy of its data elsewhere as its own', async () => {
    const { run, images } = await makeRun(16, old);
    const before = bySplit(await open(run));
    await cp(images, path('copy'), { recursive: true });
    await rm(path('copy/ant/000.jpg'));
    for (const [file, split] of bySplit(await open(run, silentLogger, path('copy'))))
      expect(before.get(file)).toBe(split);
    await rm(path('copy'), { recursive: true });
  });

  it('has a key for its data that other images of the same names do not have', async () => {
    const { run, images } = await makeRun(10, old);
    const key = await (await openRunData(await openRun(run))).dataKey();
    expect(key).toBe(recordKey((await readDataRecord(run))!));
    expect(await (await openRunData(await openRun(run))).dataKey()).toBe(key);
    await cp(images, path('same'), { recursive: true });
    const same = await openRunData(await openRun(run), { data: path('same') });
    expect(await same.dataKey()).toBe(key);
    // One byte of one image, its size unchanged.
    const changed = files(same.dataset, 'validation')[0]!;
    const bytes = await readFile(path('same', changed));
    bytes[bytes.length - 30]! ^= 1;
    await writeFile(path('same', changed), bytes);
    expect(await (await openRunData(await openRun(run), { data: path('same') })).dataKey()).not.toBe(key);
    await rm(path('same'), { recursive: true });
  });
});

describe('training', () => {
  const request = (folder: string, data: string, maxSteps?: number) => ({
    space,
    data,
    folder,
    schedule: tinySchedule({
      batchSize: 8,
      phases: [{ name: 'only', epochs: 3, learningRate: 0.1, subnets: ['random'] }],
    }),
    seed: 0,
    threads: 1,
    workers: 0,
    evaluation: { calibrationImages: 8, calibrationBatch: 8, limit: 4 },
    logger: silentLogger,
    ...(maxSteps === undefined ? {} : { maxSteps }),
  });

  it('goes on with the images that it began with, and with no others', async () => {
    const images = path('training');
    await writeImageFolder(images, CLASSES, 10);
    await train(request(path('trained'), images, 2));
    const record = await readDataRecord(path('trained'));
    const first = join(images, record!.examples!.train[0]![0]);
    await rename(first, path('aside'));
    const name = record!.examples!.train[0]![0];
    await expect(train(request(path('trained'), images, 2))).rejects.toThrow(
      `its training images must be those that it began with: train 1 removed (${name}); put them back`,
    );
    await rename(path('aside'), first);
    await train(request(path('trained'), images));
    expect(await readDataRecord(path('trained'))).toEqual(record);
  });

  it('of an older version goes on with its own rule', async () => {
    const images = path('training');
    await train(request(path('begun'), images, 2));
    const json = JSON.parse(await readFile(path('begun', 'supernet.json'), 'utf8')) as {
      data: { splitRule?: string };
    };
    // As it was before there was a rule: the images are others, and nobody knows which they were.
    delete json.data.splitRule;
    await writeFile(path('begun', 'supernet.json'), JSON.stringify(json));
    await rm(path('begun', 'data.json'));
    const { splitRule: _, ...old } = parseDatasetSpec(images);
    const dataset = await openDataset(old);
    const steps = (await train(request(path('begun'), images))).steps;
    expect(steps).toBe(3 * Math.floor(dataset.splitSize('train') / 8));
    const recorded = (await readDataRecord(path('begun')))!.examples!.train.map(([name]) => name);
    expect(recorded).toEqual(files(dataset, 'train').sort());
  });
});
