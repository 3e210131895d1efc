/** A regression for tests: the mean of examples weighted by their closeness, as unsure as the closest is far. */
import { surrogateOf, type Regressor, type Surrogate } from '../../src/search/surrogate.js';
import type { Architecture } from '../../src/space/architecture.js';
import { geneValue, isActive, type Gene } from '../../src/space/gene.js';

export function neighbourRegressor(genes: readonly Gene[]): Regressor {
  const code = (arch: Architecture): number[] =>
    genes.map((gene) => (isActive(arch, gene) ? gene.choices.indexOf(geneValue(arch, gene)) : -1));
  return {
    name: 'neighbours',
    variance: true,
    fit(archs, values) {
      const known = archs.map(code);
      return Promise.resolve({
        predict(asked) {
          const mean: number[] = [];
          const variance: number[] = [];
          for (const arch of asked) {
            const own = code(arch);
            const distances = known.map((other) => own.filter((v, i) => v !== other[i]).length);
            const weights = distances.map((distance) => Math.exp(-distance));
            const total = weights.reduce((a, b) => a + b, 0);
            mean.push(weights.reduce((sum, weight, i) => sum + weight * values[i]!, 0) / total);
            variance.push(distances.reduce((a, b) => Math.min(a, b)));
          }
          return Promise.resolve({ mean, variance });
        },
        dispose: () => Promise.resolve(),
      });
    },
  };
}

/** Of objectives none of which is cheap. */
export function neighbourSurrogate(genes: readonly Gene[], objectives = 1): Surrogate {
  const guessed = Array.from({ length: objectives }, (_, i) => ({
    name: `objective ${i}`,
    unit: '',
    direction: 'maximize' as const,
    evaluate: () => [],
  }));
  return surrogateOf(guessed, neighbourRegressor(genes));
}
