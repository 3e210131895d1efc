import { beforeAll, describe, expect, it } from 'vitest';
import { createEncoder } from '../../src/accuracy/encoding.js';
import type { AccuracyPredictor } from '../../src/accuracy/predictor.js';
import { accuracyPredictorByName } from '../../src/accuracy/predictors/index.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import type { Engine } from '../../src/engine/engine.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { predictedAccuracy } from '../../src/pipeline/predictedAccuracy.js';
import { Genome } from '../../src/space/genotype.js';
import { limitGenes, type GeneLimits } from '../../src/space/limits.js';
import type { SearchSpace } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { landscape } from '../support/landscape.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

let engine: Engine;
beforeAll(async () => {
  engine = await createOnnxRuntimeEngine({ threads: 1 });
});

async function fitted(space: SearchSpace, name: string, encoding: string): Promise<AccuracyPredictor> {
  const list = distinctArchitectures(space.genes, 0);
  const archs = Array.from({ length: 60 }, () => list.next().value!.architecture);
  const values = landscape(space, 1).accuracy(archs);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const samples = archs.map((architecture, i) => ({
    architecture,
    top1: 0.2 + (0.6 * (values[i]! - low)) / (high - low),
  }));
  const encoder = createEncoder(encoding, space);
  return accuracyPredictorByName(name).fit(samples, { encoder, engine, seed: 0 });
}

const cases: readonly (readonly [string, SearchSpace, GeneLimits])[] = [
  ['mbv3-tiny', shippedSpace('mbv3-tiny'), {}],
  ['a part of it', shippedSpace('mbv3-tiny'), { imageSize: [24], ks: [3] }],
  ['one image size', shippedSpace('ofa-mbv3', { imageSizes: [160] }), {}],
  ['resnet', tinyResnet(), {}],
  ['small', smallSpace(), {}],
];

describe('predictedAccuracy', () => {
  it.each(cases)(
    'says of genotypes what the predictor says of architectures: %s',
    async (_, space, within) => {
      const predictor = await fitted(space, 'ridge', 'one-hot');
      const genome = new Genome(limitGenes(space.genes, within));
      const quantity = predictedAccuracy(predictor);
      const quick = quantity.forGenome?.(genome);
      expect(quick).toBeDefined();
      const random = createRandom(2);
      const genotypes = Array.from({ length: 300 }, () => genome.sample(random));
      const wanted = await quantity.evaluate(genotypes.map((genotype) => genome.decode(genotype)));
      const answers = await quick!(genotypes);
      expect(answers.length).toBe(300);
      for (let i = 0; i < 300; i++) expect(answers[i]).toBeCloseTo(wanted[i]!, 6);
    },
  );

  it.each(['ordinal', 'features', 'combined'])('leaves other encodings alone: %s', async (encoding) => {
    const space = shippedSpace('mbv3-tiny');
    const quantity = predictedAccuracy(await fitted(space, 'ridge', encoding));
    expect(quantity.forGenome?.(new Genome(space.genes))).toBeUndefined();
    const [value] = Array.from(await quantity.evaluate([space.largest]));
    expect(value).toBeGreaterThan(0);
  });

  it('leaves genes alone that the predictor was not fitted for', async () => {
    const quantity = predictedAccuracy(await fitted(shippedSpace('mbv3-tiny'), 'ridge', 'one-hot'));
    expect(quantity.forGenome?.(new Genome(shippedSpace('ofa-mbv3').genes))).toBeUndefined();
  });
});
