/** What every predictor of the registry must do. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEncoder } from '../../src/accuracy/encoding.js';
import { scorePredictions } from '../../src/accuracy/evaluate.js';
import { loadPredictor, savePredictor } from '../../src/accuracy/predictorFile.js';
import {
  accuracyFunction,
  encodeRows,
  LOSSES,
  type AccuracyPredictor,
  type AccuracySample,
  type FitContext,
  type PredictorDefinition,
} from '../../src/accuracy/predictor.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import type { Architecture } from '../../src/space/architecture.js';
import { canonical } from '../../src/space/canonical.js';
import { geneValue, isActive } from '../../src/space/gene.js';
import { createRandom } from '../../src/util/random.js';
import { UserError } from '../../src/util/errors.js';
import { shippedSpace, smallSpace } from './spaces.js';

const space = shippedSpace('mbv3-tiny');
const engine = await createOnnxRuntimeEngine({ threads: 1 });

/** A gain for every choice of every active gene, summed. */
function additive(archs: readonly Architecture[]): AccuracySample[] {
  const random = createRandom('additive');
  const gains = space.genes.map(({ choices }) => choices.map(() => random.float()));
  return archs.map((architecture) => ({
    architecture,
    top1:
      0.5 +
      0.02 *
        space.genes.reduce(
          (sum, gene, g) =>
            isActive(architecture, gene)
              ? sum + gains[g]![gene.choices.indexOf(geneValue(architecture, gene))]!
              : sum,
          0,
        ),
  }));
}

const list = distinctArchitectures(space.genes, 1);
const archs = Array.from({ length: 500 }, () => list.next().value!.architecture);
const samples = additive(archs);
const training = samples.slice(0, 200);
const test = samples.slice(200);
const testArchs = test.map(({ architecture }) => architecture);

export function predictorConformance(definition: PredictorDefinition): void {
  describe(`accuracy predictor ${definition.name}`, () => {
    const context = (encoding = 'one-hot', seed = 7): FitContext => ({
      encoder: createEncoder(encoding, space),
      engine,
      seed,
    });
    let predictor: AccuracyPredictor;
    let predicted: number[];
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'ofakit-predictor-'));
      predictor = await definition.fit(training, context());
      predicted = await accuracyFunction(predictor)(testArchs);
    }, 60_000);
    afterAll(async () => {
      await predictor.dispose();
      await rm(folder, { recursive: true });
    });

    it('ranks an additive space, and is closer than a constant', () => {
      const measured = test.map(({ top1 }) => top1);
      const score = scorePredictions(predicted, measured);
      const mean = training.reduce((sum, { top1 }) => sum + top1, 0) / training.length;
      const constant = scorePredictions(
        measured.map(() => mean),
        measured,
      );
      expect(score.kendallTau).toBeGreaterThan(0.8);
      expect(score.rmse).toBeLessThan(0.4 * constant.rmse);
    });

    it('gives the same for the same seed', async () => {
      const few = training.slice(0, 20);
      const once = await definition.fit(few, context());
      const again = await definition.fit(few, context());
      const expected = await once.predict(testArchs);
      expect(await again.predict(testArchs)).toEqual(expected);
      await once.dispose();
      await again.dispose();
    });

    it('predicts each architecture on its own, whatever its place and the number of others', async () => {
      const order = createRandom('order').shuffle([...testArchs.keys()]);
      const shuffled = await predictor.predict(order.map((i) => testArchs[i]!));
      order.forEach((i, at) => expect(shuffled[at]!.mean).toBeCloseTo(predicted[i]!, 6));
      const alone = await predictor.predict([testArchs[3]!]);
      expect(alone[0]!.mean).toBeCloseTo(predicted[3]!, 6);
      // More than one program's batch.
      const many = await predictor.predict(
        Array.from({ length: 2100 }, (_, i) => testArchs[i % testArchs.length]!),
      );
      expect(many.length).toBe(2100);
      many.forEach(({ mean }, i) => expect(mean).toBeCloseTo(predicted[i % testArchs.length]!, 6));
      expect(await predictor.predict([])).toEqual([]);
    });

    it('predicts the same of vectors, which it leaves as they are', async () => {
      const { encoder } = context();
      const rows = encodeRows(encoder, testArchs);
      const before = rows.slice();
      const { mean, variance } = await predictor.predictRows(rows);
      expect([...mean]).toEqual(predicted);
      expect(rows).toEqual(before);
      expect(variance !== undefined).toBe(definition.variance);
      expect(() => predictor.predictRows(rows.subarray(1))).toThrow(RangeError);
    });

    it.runIf(definition.variance)('is surer of what it has seen', async () => {
      const spread = async (some: readonly Architecture[]): Promise<number> => {
        const variances = (await predictor.predict(some)).map(({ variance }) => variance!);
        expect(variances.every((v) => v >= 0 && Number.isFinite(v))).toBe(true);
        return variances.reduce((sum, v) => sum + v, 0) / variances.length;
      };
      const seen = await spread(training.map(({ architecture }) => architecture));
      expect(seen).toBeGreaterThan(0);
      expect(seen).toBeLessThan(await spread(testArchs));
    });

    it('fits accuracies as they are', async () => {
      const own = await definition.fit(training.slice(0, 120), { ...context(), target: 'accuracy' });
      const score = scorePredictions(
        await accuracyFunction(own)(testArchs),
        test.map(({ top1 }) => top1),
      );
      expect(score.kendallTau).toBeGreaterThan(0.7);
      expect(own.state().settings['targetScale']).toBe('accuracy');
      await own.dispose();
    });

    it.each(LOSSES)('is fitted to the loss %s, or refuses it', async (loss) => {
      const fit = async () => definition.fit(training.slice(0, 120), { ...context(), loss });
      if (!definition.losses.includes(loss)) {
        await expect(fit()).rejects.toThrow(`its loss must be one of squared: current value is "${loss}"`);
        return;
      }
      const own = await fit();
      const score = scorePredictions(
        await accuracyFunction(own)(testArchs),
        test.map(({ top1 }) => top1),
      );
      expect(score.kendallTau).toBeGreaterThan(0.7);
      // Also one that learns the order alone ends up on the scale of accuracies.
      expect(score.rmse).toBeLessThan(3);
      const restored = definition.restore(own.state(), context());
      expect(await restored.predict(testArchs)).toEqual(await own.predict(testArchs));
      await own.dispose();
      await restored.dispose();
    });

    it('predicts the same for architectures of the same network', async () => {
      const random = createRandom('inactive');
      const variants = testArchs.map((arch) => ({
        ...arch,
        ks: arch.ks.map((k, i) =>
          isActive(
            arch,
            space.genes.find(({ list: l, index }) => l === 'ks' && index === i)!,
          )
            ? k
            : random.pick([3, 5]),
        ),
      }));
      expect(variants.some((arch, i) => arch.ks.join() !== testArchs[i]!.ks.join())).toBe(true);
      expect(variants.map((arch) => canonical(space.genes, arch))).toEqual(testArchs);
      expect(await predictor.predict(variants)).toEqual(await predictor.predict(testArchs));
    });

    it('predicts the same after a file', async () => {
      const path = join(folder, 'predictor.safetensors');
      await savePredictor(path, predictor, space, 'one-hot');
      const loaded = await loadPredictor(path, space, engine);
      expect(loaded.name).toBe(definition.name);
      expect(await loaded.predict(testArchs)).toEqual(await predictor.predict(testArchs));
      await loaded.dispose();
      await expect(loadPredictor(path, smallSpace(), engine)).rejects.toThrow(
        /it was fitted in space "mbv3-tiny", whose choices differ/,
      );
    });

    it('refuses a state of another encoding', () => {
      expect(() => definition.restore(predictor.state(), context('ordinal'))).toThrow(UserError);
    });

    it('refuses a state with anything missing or of another kind', () => {
      const { tensors, settings } = predictor.state();
      for (const name of tensors.keys()) {
        const fewer = new Map([...tensors].filter(([own]) => own !== name));
        expect(() => definition.restore({ tensors: fewer, settings }, context())).toThrow(UserError);
      }
      for (const name of Object.keys(settings)) {
        for (const value of ['x', -7, Number.NaN]) {
          if (name === 'targetMean' && value === -7) continue;
          const changed = { ...settings, [name]: value };
          expect(() => definition.restore({ tensors, settings: changed }, context())).toThrow(UserError);
        }
      }
    });

    it.each(['ordinal', 'features'])('learns from the encoding %s', async (encoding) => {
      const own = await definition.fit(training.slice(0, 120), context(encoding));
      const score = scorePredictions(
        await accuracyFunction(own)(testArchs),
        test.map(({ top1 }) => top1),
      );
      // These encodings cannot tell all choices apart.
      expect(score.kendallTau).toBeGreaterThan(0.25);
      await own.dispose();
    });

    it.each([1, 2, 5])('gives finite accuracies after %i samples', async (count) => {
      const own = await definition.fit(training.slice(0, count), context());
      for (const { mean } of await own.predict(testArchs.slice(0, 20))) {
        expect(mean).toBeGreaterThan(0);
        expect(mean).toBeLessThan(1.2);
      }
      await own.dispose();
    });

    it.each([0, 0.75, 1])('predicts %f where all samples have it', async (top1) => {
      const equal = training.slice(0, 30).map((sample) => ({ ...sample, top1 }));
      const own = await definition.fit(equal, context());
      for (const { mean } of await own.predict(testArchs.slice(0, 20))) {
        expect(Math.abs(mean - top1)).toBeLessThan(2e-4);
      }
    });

    it('refuses vectors that are not finite', async () => {
      const encoder = { labels: ['a', 'b'], encode: (arch: number) => Float32Array.of(arch, 1 / arch) };
      const zero = [0.5, 0].map((architecture) => ({ architecture, top1: 0.5 + 0.1 * architecture }));
      await expect((async () => definition.fit(zero, { encoder, engine, seed: 0 }))()).rejects.toThrow(
        '"b" of sample 2 is Infinity',
      );
    });

    it('refuses no samples, and accuracies that are not fractions', async () => {
      await expect((async () => definition.fit([], context()))()).rejects.toThrow(UserError);
      for (const top1 of [Number.NaN, 91, -0.1]) {
        await expect(
          (async () => definition.fit([...training, { ...training[0]!, top1 }], context()))(),
        ).rejects.toThrow(`accuracies must be from 0 to 1: that of sample 201 is ${top1}`);
      }
    });
  });
}
