/** A surrogate for tests: the mean of trials weighted by their closeness, as unsure as the closest is far. */
import type { Surrogate } from '../../src/search/surrogate.js';
import type { Architecture } from '../../src/space/architecture.js';
import { geneValue, isActive, type Gene } from '../../src/space/gene.js';

export function neighbourSurrogate(genes: readonly Gene[]): Surrogate {
  const code = (arch: Architecture): number[] =>
    genes.map((gene) => (isActive(arch, gene) ? gene.choices.indexOf(geneValue(arch, gene)) : -1));
  return {
    fit(trials) {
      const known = trials.map(({ architecture, values }) => ({ code: code(architecture), values }));
      const objectives = trials[0]!.values.length;
      return Promise.resolve({
        predict(archs) {
          const estimates = Array.from({ length: objectives }, () => ({
            mean: [] as number[],
            variance: [] as number[],
          }));
          for (const arch of archs) {
            const own = code(arch);
            const distances = known.map((other) => own.filter((v, i) => v !== other.code[i]).length);
            const weights = distances.map((distance) => Math.exp(-distance));
            const total = weights.reduce((a, b) => a + b, 0);
            const nearest = Math.min(...distances);
            estimates.forEach(({ mean, variance }, o) => {
              mean.push(known.reduce((sum, { values }, i) => sum + weights[i]! * values[o]!, 0) / total);
              variance.push(nearest);
            });
          }
          return Promise.resolve(estimates);
        },
        dispose: () => Promise.resolve(),
      });
    },
  };
}
