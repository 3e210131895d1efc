import { describe, expect, it } from 'vitest';
import { additiveFunction } from '../../src/search/additive.js';
import { accuracyQuantity, latencyQuantity } from '../../src/search/quantity.js';
import { searchObjectives } from '../../src/search/search.js';
import type { Architecture } from '../../src/space/architecture.js';
import { networkCosts } from '../../src/space/costs.js';
import { Genome } from '../../src/space/genotype.js';
import { createRandom } from '../../src/util/random.js';
import { landscape } from '../support/landscape.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

const spaces = [shippedSpace('mbv3-tiny'), shippedSpace('ofa-proxyless'), tinyResnet(), smallSpace()];

describe.each(spaces.map((space) => [space.name, space] as const))('additiveFunction in %s', (_, space) => {
  const genome = new Genome(space.genes);
  const functions = {
    macs: (archs: readonly Architecture[]) => archs.map((arch) => networkCosts(space.network(arch)).macs),
    peak: (archs: readonly Architecture[]) =>
      archs.map((arch) => networkCosts(space.network(arch)).peakActivationBytes),
    interacting: landscape(space, 3).accuracy,
  };

  it.each(Object.entries(functions))('answers as the function does: %s', async (_name, evaluate) => {
    const quick = additiveFunction(genome, evaluate);
    const random = createRandom(5);
    for (let round = 0; round < 4; round++) {
      const genotypes = Array.from({ length: 600 }, () => genome.sample(random));
      const answers = await quick(genotypes);
      const wanted = evaluate(genotypes.map((genotype) => genome.decode(genotype)));
      wanted.forEach((value, i) => expect(Math.abs(answers[i]! - value)).toBeLessThanOrEqual(1e-9 * value));
    }
  });
});

describe('additiveFunction', () => {
  it('asks about few networks where the function is a sum', async () => {
    const space = shippedSpace('ofa-mbv3', { imageSizes: [160, 224] });
    const genome = new Genome(space.genes);
    let asked = 0;
    const quick = additiveFunction(genome, (archs) => {
      asked += archs.length;
      return archs.map((arch) => networkCosts(space.network(arch)).macs);
    });
    const random = createRandom(6);
    for (let round = 0; round < 10; round++)
      await quick(Array.from({ length: 500 }, () => genome.sample(random)));
    expect(asked).toBeLessThan(1000 + 2 * 300);
  });
});

describe('a search with quick answers', () => {
  const space = shippedSpace('mbv3-tiny');
  const land = landscape(space, 1);

  it('reports what the functions say themselves', async () => {
    const [fast, slow] = land.latencyMs([space.smallest, space.largest]);
    const latency = latencyQuantity(land.latencyMs);
    const limit = (fast! + slow!) / 2;
    const { front, best } = await searchObjectives({
      space,
      objectives: [accuracyQuantity(land.accuracy), latency],
      constraints: [{ quantity: latency, limit }],
      strategy: 'nsga2',
      budget: 3000,
    });
    for (const { architecture, values } of [best, ...front]) {
      expect(values).toEqual([land.accuracy([architecture])[0], land.latencyMs([architecture])[0]]);
      expect(values[1]).toBeLessThanOrEqual(limit);
    }
  });

  it('does without them where they turn out to be wrong', async () => {
    // A sum nearly everywhere: not where the most accurate networks are.
    const top = land.accuracy([space.largest])[0]!;
    const latencyMs = (archs: readonly Architecture[]): number[] => {
      const accuracy = land.accuracy(archs);
      return land.latencyMs(archs).map((ms, i) => (accuracy[i]! > 0.99 * top ? 2 * ms : ms));
    };
    const { best } = await searchObjectives({
      space,
      objectives: [accuracyQuantity(land.accuracy)],
      recorded: [latencyQuantity(latencyMs)],
      strategy: 'evolution',
      budget: 5000,
    });
    expect(best.recorded).toEqual(latencyMs([best.architecture]));
  });
});
