/** Gumbel-softmax architectures: their rows, and the way from gradients in rows to gradients in logits. */
import { describe, expect, it } from 'vitest';
import { oneHotEncoder } from '../../src/accuracy/encoding.js';
import { LogitOptimizer } from '../../src/search/logitOptimizer.js';
import { RelaxedGenes } from '../../src/search/relaxedGenes.js';
import { Genome } from '../../src/space/genotype.js';
import { createRandom, type Random } from '../../src/util/random.js';
import { smallSpace } from '../support/spaces.js';
import '../support/matchers.js';

const { genes } = smallSpace();
const genome = new Genome(genes);
const relaxed = new RelaxedGenes(genes);

const randomLogits = (random: Random): Float64Array[] =>
  genes.map(({ choices }) => Float64Array.from(choices, () => random.normal()));

describe('architectures that are not decided yet', () => {
  it('are one-hot encodings where they are decided', () => {
    const random = createRandom('rows');
    const encoder = oneHotEncoder({ genes });
    // All genes of this space have a choice, so the encoder leaves out none.
    expect(relaxed.width).toBe(encoder.labels.length);
    const genotypes = Array.from({ length: 20 }, () => genome.sample(random));
    const rows = relaxed.rows(genotypes.map((genotype) => relaxed.sharesOf(genotype)));
    genotypes.forEach((genotype, i) => {
      const row = rows.subarray(i * relaxed.width, (i + 1) * relaxed.width);
      expect([...row]).toEqual([...encoder.encode(genome.decode(genotype))]);
    });
  });

  it('are means of the rows of architectures, where genes are independent', () => {
    const random = createRandom('means');
    const logits = randomLogits(random);
    const shares = logits.map((own) => {
      const powers = own.map(Math.exp);
      const total = powers.reduce((a, b) => a + b, 0);
      return powers.map((v) => v / total);
    });
    const mean = new Float64Array(relaxed.width);
    const draws = 20_000;
    for (let n = 0; n < draws; n++) {
      const genotype = Uint8Array.from(shares, (own) => {
        let left = random.float();
        return Math.max(
          0,
          own.findIndex((share) => (left -= share) < 0),
        );
      });
      relaxed.rows([relaxed.sharesOf(genotype)]).forEach((v, i) => (mean[i]! += v / draws));
    }
    expect(relaxed.rows([shares])).toBeAllclose(mean, { relative: 0, absolute: 0.02 });
  });

  it('are drawn as the choices with the largest of logit plus noise, so as the softmax says', () => {
    const random = createRandom('gumbel');
    const logits = randomLogits(random);
    const counts = logits.map((own) => new Float64Array(own.length));
    const draws = 4000;
    for (let n = 0; n < draws; n++) {
      relaxed.draw(logits, 0.5, random).forEach((own, gene) => {
        expect(own.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
        counts[gene]![own.indexOf(Math.max(...own))]!++;
      });
    }
    logits.forEach((own, gene) => {
      const powers = own.map(Math.exp);
      const total = powers.reduce((a, b) => a + b, 0);
      expect([...counts[gene]!].map((n) => n / draws)).toBeAllclose(
        powers.map((v) => v / total),
        { relative: 0, absolute: 0.04 },
      );
    });
  });

  it.each([2, 0.3])('have gradients in the logits, at temperature %d', (temperature) => {
    const logits = randomLogits(createRandom('gradients'));
    const weights = Array.from({ length: 3 * relaxed.width }, (_, i) => Math.sin(7 * i + 1));
    // A function of rows that is not linear: its value and its gradient there.
    const draw = (at: readonly Float64Array[]) => {
      const random = createRandom('same noise');
      return Array.from({ length: 3 }, () => relaxed.draw(at, temperature, random));
    };
    const value = (at: readonly Float64Array[]): number =>
      relaxed.rows(draw(at)).reduce((sum, v, i) => sum + weights[i]! * v * v, 0);
    const drawn = draw(logits);
    const rowGradients = relaxed.rows(drawn).map((v, i) => 2 * weights[i]! * v);
    const gradients = relaxed.logitGradients(drawn, rowGradients, temperature);
    const h = 1e-3;
    logits.forEach((own, gene) => {
      const wanted = own.map((v, i) => {
        const at = (moved: number): number =>
          value(logits.map((other, g) => (g === gene ? other.with(i, moved) : other)));
        return (at(v + h) - at(v - h)) / (2 * h);
      });
      // Rows are float32.
      expect(gradients[gene]).toBeAllclose(wanted, { relative: 2e-3, absolute: 2e-4 });
    });
  });
});

it('an optimiser of logits climbs as Adam does', () => {
  const logits = [Float64Array.of(0.5, -1), Float64Array.of(2)];
  const gradients = [
    [Float64Array.of(0.1, -2), Float64Array.of(0)],
    [Float64Array.of(-0.3, 1), Float64Array.of(4)],
    [Float64Array.of(0.2, 0.5), Float64Array.of(-1)],
  ];
  const optimizer = new LogitOptimizer(logits, 0.1);
  for (const step of gradients) optimizer.ascend(step);
  // The algorithm as it is written, for each number by itself.
  const wanted = [
    [0.5, [0.1, -0.3, 0.2]],
    [-1, [-2, 1, 0.5]],
    [2, [0, 4, -1]],
  ].map(([start, list]) => {
    let [x, m, v] = [start as number, 0, 0];
    (list as number[]).forEach((g, t) => {
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      x += (0.1 * (m / (1 - 0.9 ** (t + 1)))) / (Math.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8);
    });
    return x;
  });
  expect(logits.flatMap((own) => [...own])).toBeAllclose(wanted, { relative: 1e-12 });
});
