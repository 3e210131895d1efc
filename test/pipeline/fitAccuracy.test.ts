/** `ofa accuracy fit` on accuracy data sets made up for it: what is chosen, saved, and said of those that tell nothing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAccuracies } from '../../src/accuracy/dataset.js';
import { createEncoder } from '../../src/accuracy/encoding.js';
import { scorePredictions } from '../../src/accuracy/evaluate.js';
import { ridgePredictor } from '../../src/accuracy/predictors/ridge.js';
import { createRandom } from '../../src/util/random.js';
import { accuracyFunction } from '../../src/accuracy/predictor.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import {
  fitAccuracy,
  MOST_TO_CROSS_VALIDATE,
  openAccuracyPredictor,
  type FitRequest,
} from '../../src/pipeline/accuracy.js';
import { runFiles, type SupernetRun } from '../../src/pipeline/run.js';
import { toFile, type Architecture } from '../../src/space/architecture.js';
import { UserError } from '../../src/util/errors.js';
import { silentLogger } from '../../src/util/logger.js';
import { shippedSpace } from '../support/spaces.js';

const space = shippedSpace('mbv3-tiny');
const engine = await createOnnxRuntimeEngine({ threads: 1 });
let folder: string;
let run: SupernetRun;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-fit-'));
  run = { folder, space, weights: new Map(), weightsSha256: 'w', data: null };
});
afterAll(() => rm(folder, { recursive: true }));

const additive = ({ ks, imageSize }: Architecture): number =>
  0.5 + 0.01 * (imageSize - 20) + 0.02 * ks.reduce((sum, k) => sum + k - 3, 0);

async function write(count: number, top1: (arch: Architecture) => number, images = 100): Promise<void> {
  const list = distinctArchitectures(space.genes, 0);
  const lines = Array.from({ length: count }, () => {
    const { architecture } = list.next().value!;
    return `${JSON.stringify({
      format: 'ofakit.accuracy/1',
      architecture: toFile(architecture),
      split: 'validation',
      top1: top1(architecture),
      top5: 1,
      loss: 0.1,
      count: images,
      seed: 0,
      weightsSha256: 'w',
    })}\n`;
  });
  await writeFile(runFiles(folder).accuracies, lines.join(''));
}
const request = (more: Partial<FitRequest> = {}): FitRequest => ({
  run,
  engine,
  predictor: 'ridge',
  heldOut: 20,
  seed: 0,
  ...more,
});

describe('fitAccuracy', () => {
  it('chooses the encoding of a predictor, and saves what it judged', async () => {
    await write(60, additive);
    const { predictor, encoding, compared, score, points } = await fitAccuracy(request({ encoding: 'auto' }));
    expect(compared.map((one) => one.encoding).sort()).toEqual(['combined', 'one-hot']);
    expect(encoding).toBe(compared[0]!.encoding);
    expect(compared.every((one) => one.definition.name === 'ridge' && one.score.n === 40)).toBe(true);
    expect(score.n).toBe(20);
    expect(score.kendallTau).toBeGreaterThan(0.8);
    const loaded = await openAccuracyPredictor(run, engine);
    const archs = [space.largest, space.smallest];
    expect(await accuracyFunction(loaded)(archs)).toEqual(await accuracyFunction(predictor)(archs));
    expect(points.length).toBe(20);
  });

  it('judges on the same subnets whether or not it chooses, so that none was seen in choosing', async () => {
    await write(60, additive);
    const measured = async (more: Partial<FitRequest>): Promise<number[]> =>
      (await fitAccuracy(request(more))).points.map(({ measuredTop1 }) => measuredTop1);
    expect(await measured({ encoding: 'auto' })).toEqual(await measured({}));
  });

  it('fits on all samples unless some are put aside, and judges each by a fit without it', async () => {
    await write(40, additive);
    const { heldOut: _heldOut, ...whole } = request();
    const all = await fitAccuracy(whole);
    expect(all).toMatchObject({ judgedBy: 'cross-validation', fittedOn: 40, score: { n: 40 } });
    const records = await readAccuracies(runFiles(folder).accuracies, space);
    expect(all.points.map(({ measuredTop1 }) => measuredTop1)).toEqual(records.map(({ top1 }) => top1));
    // What is saved was fitted on all of them; what judges each was not.
    const encoder = createEncoder('one-hot', space);
    const fitted = await ridgePredictor.fit(records, { encoder, engine, seed: 0 });
    const archs = records.map(({ architecture }) => architecture);
    const own = await accuracyFunction(all.predictor)(archs);
    expect([...own]).toEqual([...(await accuracyFunction(fitted)(archs))]);
    const seen = scorePredictions(
      [...own],
      records.map(({ top1 }) => top1),
    );
    expect(all.score.rmse).toBeGreaterThan(seen.rmse);
    const aside = await fitAccuracy(request());
    expect(aside).toMatchObject({ judgedBy: 'held-out', fittedOn: 20, score: { n: 20 } });
    await write(MOST_TO_CROSS_VALIDATE + 1, additive);
    const many = await fitAccuracy(whole);
    expect(many).toMatchObject({
      judgedBy: 'held-out',
      fittedOn: MOST_TO_CROSS_VALIDATE - 49,
      score: { n: 50 },
    });
    await write(4, additive);
    await expect(fitAccuracy(whole)).rejects.toThrow('at least 5 accuracies are wanted: it has 4');
  });

  it('says how far its figures reach, and warns where accuracies are noise', async () => {
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    const { heldOut: _heldOut, ...whole } = request({ logger });
    // As 100 images leave networks that are all equally good.
    const noise = (arch: Architecture): number => {
      const random = createRandom('noise', JSON.stringify(arch));
      return (
        Array.from({ length: 100 }, () => Number(random.float() < 0.55)).reduce((a, b) => a + b, 0) / 100
      );
    };
    await write(60, noise);
    const { score, standardErrors, samplesStandardError } = await fitAccuracy(whole);
    expect(Math.abs(score.kendallTau)).toBeLessThan(3 * standardErrors.kendallTau);
    expect(samplesStandardError).toBeCloseTo(5, 0);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/60 networks .* on 100 validation images: which is better is mostly chance/);
    expect(warnings[1]).toMatch(/cannot be told from chance/);
    for (const warning of warnings) expect(warning).toContain('--validation-share');
    // Whoever uses it is told, too.
    warnings.length = 0;
    await (await openAccuracyPredictor(run, engine, { logger })).dispose();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/accuracy-predictor.*cannot be told from chance/);
    warnings.length = 0;
    await write(60, additive, 5000);
    await fitAccuracy(whole);
    await (await openAccuracyPredictor(run, engine, { logger })).dispose();
    expect(warnings).toEqual([]);
  });

  it('says so where all accuracies are equal, and predicts that', async () => {
    await write(40, () => 0.75);
    const warnings: string[] = [];
    const logger = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
    const { predictor, score } = await fitAccuracy(request({ predictor: 'auto', encoding: 'auto', logger }));
    expect(warnings).toEqual(['All 20 accuracies are equal: every architecture is predicted to have 0.75']);
    expect(predictor.name).toBe('ridge');
    expect((await predictor.predict([space.largest]))[0]!.mean).toBeCloseTo(0.75, 6);
    expect(score).toMatchObject({ kendallTau: 0, spearman: 0 });
  });

  it('refuses data sets that leave nothing to fit or to judge on, and other weights', async () => {
    await write(0, additive);
    await expect(fitAccuracy(request())).rejects.toThrow(
      'there are none; measure some with "ofa accuracy sample"',
    );
    await write(20, additive);
    await expect(fitAccuracy(request())).rejects.toThrow(
      'samples held out must be from 1 to 19: current value is 20',
    );
    await write(30, additive);
    const other = { ...run, weightsSha256: 'other' };
    await expect(fitAccuracy(request({ run: other }))).rejects.toThrow(/accuracies of other weights/);
    await expect(fitAccuracy(request({ predictor: 'nix' }))).rejects.toThrow(UserError);
    await expect(fitAccuracy(request({ loss: 'hinge' }))).rejects.toThrow('its loss must be one of squared');
    await write(30, () => Number.NaN);
    await expect(fitAccuracy(request())).rejects.toThrow(/line 1/);
  });
});
