/** Accuracies on different data, and predictors fitted on other weights or data than those at hand. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AccuracyRecord } from '../../src/accuracy/dataset.js';
import { readPredictorOrigin } from '../../src/accuracy/predictorFile.js';
import { openDataset, parseDatasetSpec } from '../../src/data/index.js';
import { readDataRecord, recordDataset, recordKey, writeDataRecord } from '../../src/data/record.js';
import { protocolByName } from '../../src/device/protocol.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { fitAccuracy, openAccuracyPredictor, sampleRunAccuracies } from '../../src/pipeline/accuracy.js';
import { FinalistJournal } from '../../src/pipeline/finalistJournal.js';
import { DeviceSessions, Finalists } from '../../src/pipeline/finalists.js';
import { openRun, runFiles } from '../../src/pipeline/run.js';
import { openRunData } from '../../src/pipeline/runData.js';
import { searchRun } from '../../src/pipeline/search.js';
import { withRun } from '../../src/pipeline/withRun.js';
import { saveCheckpoint } from '../../src/supernet/checkpoint.js';
import { readSafetensors, writeSafetensors } from '../../src/supernet/safetensors.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { temporaryFolder } from '../cli/support/folder.js';
import { writeImage } from '../data/files.js';
import { tinySpace } from '../training/support/runs.js';

const path = temporaryFolder();
const space = tinySpace({ imageSizes: [12], inputChannels: 3, classes: 2, dropout: 0 });
const engine = await createOnnxRuntimeEngine({ threads: 1 });
const [RUN, OWN, OTHER] = [path('run'), path('own'), path('other')];
const FILES = runFiles(RUN);
const COUNT = 8;

const save = (seed: number): Promise<string> =>
  saveCheckpoint(RUN, {
    space,
    weights: initialiseWeights(space, seed),
    data: JSON.parse(JSON.stringify(parseDatasetSpec(OWN))) as never,
    position: null,
  });

function noting(): { logger: Logger; said: string[] } {
  const said: string[] = [];
  const note = (message: string): void => void said.push(message);
  return { logger: { ...silentLogger, info: note, warn: note }, said };
}

const sample = (data?: string, logger: Logger = silentLogger): Promise<AccuracyRecord[]> =>
  withRun(RUN, { data, threads: 1, calibrationImages: 8, logger }, (opened) =>
    sampleRunAccuracies({ ...opened, count: COUNT, seed: 0, logger }),
  );

const fit = async (data?: string, logger: Logger = silentLogger): Promise<void> => {
  const run = await openRun(RUN);
  const fitted = await fitAccuracy({ run, engine, data, predictor: 'ridge', heldOut: 2, seed: 0, logger });
  await fitted.predictor.dispose();
};

const predictor = async (data?: string, logger: Logger = silentLogger): Promise<void> => {
  const run = await openRun(RUN);
  const use = data === undefined ? { logger } : { logger, data: await openRunData(run, { data }) };
  await (await openAccuracyPredictor(run, engine, use)).dispose();
};

const lines = async (): Promise<{ dataSha256?: string }[]> =>
  (await readFile(FILES.accuracies, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { dataSha256?: string });

const ownKey = async (): Promise<string> => recordKey((await readDataRecord(RUN))!);

beforeEach(async () => {
  for (const folder of [RUN, OWN, OTHER]) await rm(folder, { recursive: true, force: true });
  for (const [label, name] of ['day', 'night'].entries()) {
    for (let i = 0; i < 16; i++) {
      await writeImage(join(OWN, name, `${i}.png`), 12, 12, [40 + 170 * label, 90, 7 * i]);
      // Of the same names.
      await writeImage(join(OTHER, name, `${i}.png`), 12, 12, [80, 80, 80]);
    }
  }
  await save(0);
  await writeDataRecord(RUN, await recordDataset(await openDataset(OWN)));
});

describe('accuracies', () => {
  it('on several data sets are kept apart, and fitted on apart', async () => {
    const own = await sample();
    const { logger, said } = noting();
    const other = await sample(OTHER, logger);
    expect(said.join()).toContain(`${COUNT} accuracies in ${FILES.accuracies} are on other data`);
    expect(other.map(({ architecture }) => architecture)).toEqual(
      own.map(({ architecture }) => architecture),
    );
    const key = await ownKey();
    expect(new Set(own.map(({ dataSha256 }) => dataSha256))).toEqual(new Set([key]));
    expect(new Set(other.map(({ dataSha256 }) => dataSha256)).has(key)).toBe(false);
    expect(await lines()).toHaveLength(2 * COUNT);
    expect(await sample()).toEqual(own);
    expect(await lines()).toHaveLength(2 * COUNT);

    const words = noting();
    await fit(undefined, words.logger);
    expect(words.said.join()).toContain(`${COUNT} of ${2 * COUNT} accuracies`);
    expect((await readPredictorOrigin(FILES.accuracyPredictor)).dataSha256).toBe(key);
    await fit(OTHER);
    const origin = await readPredictorOrigin(FILES.accuracyPredictor);
    expect(origin).toEqual({
      weightsSha256: (await openRun(RUN)).weightsSha256,
      dataSha256: other[0]!.dataSha256,
      // Of so few networks.
      doubt: expect.stringMatching(/cannot be told from chance/) as string,
    });
  });

  it('on other data alone are no ground for a predictor of the own', async () => {
    await sample(OTHER);
    await expect(fit()).rejects.toThrow(/its 8 are on other data; .*ofa accuracy sample --supernet/);
    await fit(OTHER);
  });

  it('on the data after they changed are measured anew, and then fitted on', async () => {
    await sample();
    const before = await ownKey();
    await fit();
    // Enough for some to be for training or validation.
    for (let i = 0; i < 12; i++) await writeImage(join(OWN, 'day', `new${i}.png`), 12, 12, [9, i, 9]);
    await fit();
    expect((await readPredictorOrigin(FILES.accuracyPredictor)).dataSha256).toBe(before);
    const [{ dataSha256: now } = {}] = await sample();
    expect(now).not.toBe(before);
    expect(await lines()).toHaveLength(2 * COUNT);
    await fit();
    expect((await readPredictorOrigin(FILES.accuracyPredictor)).dataSha256).toBe(now);
    await predictor();
  });

  it('of an older version are taken to be on the own data, with a word', async () => {
    const known = await sample();
    const stripped = (await lines()).map(({ dataSha256: _, ...rest }) => `${JSON.stringify(rest)}\n`);
    await writeFile(FILES.accuracies, stripped.join(''));
    const again = await sample();
    expect(again.map(({ top1 }) => top1)).toEqual(known.map(({ top1 }) => top1));
    expect(await lines()).toHaveLength(COUNT);
    const { logger, said } = noting();
    await fit(undefined, logger);
    expect(said.join()).toMatch(/8 accuracies in .* of an older version/);
    expect((await readPredictorOrigin(FILES.accuracyPredictor)).dataSha256).toBe(await ownKey());
  });
});

describe('scores of finalists', () => {
  it('are kept while the data are the same, and told anew when an image was replaced', async () => {
    const file = path('finalists.jsonl');
    const score = (): Promise<number> =>
      withRun(RUN, { threads: 1, calibrationImages: 8 }, async ({ data, ...opened }) => {
        const finalists = new Finalists({
          ...opened,
          dataSha256: await data.dataKey(),
          protocol: protocolByName('quick'),
          seed: 0,
          sessions: new DeviceSessions(new Map(), silentLogger),
          journal: await FinalistJournal.open(file),
          disturbances: new Map(),
          logger: silentLogger,
        });
        await finalists.top1(space.largest, 'validation');
        return (await readFile(file, 'utf8')).trim().split('\n').length;
      });
    expect(await score()).toBe(1);
    expect(await score()).toBe(1);
    const [name] = (await readDataRecord(RUN))!.examples!.validation[0]!;
    await writeImage(join(OWN, name), 12, 13, [1, 2, 3]);
    expect(await score()).toBe(2);
  });
});

describe('a predictor', () => {
  it('of other weights is refused, with the commands to run again', async () => {
    await sample();
    await fit();
    await predictor();
    await save(1);
    const wanted =
      /must be fitted on the supernet's weights.*"ofa accuracy sample --supernet .*"ofa accuracy fit/;
    await expect(predictor()).rejects.toThrow(wanted);
    const run = await openRun(RUN);
    await expect(searchRun({ run, engine, devices: [], seed: 0 })).rejects.toThrow(wanted);
    // What does not ask it goes on without it.
    const { logger, said } = noting();
    const { best } = await searchRun({ run, engine, devices: [], seed: 0, objectives: ['macs'], logger });
    expect(best.values).not.toHaveProperty('accuracy');
    expect(said.join()).toMatch(/Accuracies are not told: .*weights/);
  });

  it('of other data is refused where accuracies on these are predicted', async () => {
    await sample();
    await fit();
    await expect(predictor(OTHER)).rejects.toThrow(
      `it was fitted on those on other data; run "ofa accuracy sample --supernet ${RUN} --data imagefolder:${OTHER} --count 250"`,
    );
    await sample(OTHER);
    await fit(OTHER);
    await predictor(OTHER);
    await expect(predictor()).rejects.toThrow(
      /accuracies on the run's own data: it was fitted on those on other/,
    );
    // A copy of the own data elsewhere is the same data.
    await fit();
    await rm(OTHER, { recursive: true });
    await rename(OWN, OTHER);
    await predictor(OTHER);
  });

  it('of an older version is taken with a word', async () => {
    await sample();
    await fit();
    const { tensors, metadata } = await readSafetensors(FILES.accuracyPredictor);
    const { weightsSha256: _, dataSha256: __, doubt: ___, ...old } = metadata;
    await writeSafetensors(FILES.accuracyPredictor, tensors, old);
    const { logger, said } = noting();
    await predictor(undefined, logger);
    expect(said).toEqual([expect.stringMatching(/older version .*"ofa accuracy fit --supernet/)]);
  });
});
