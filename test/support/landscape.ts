/** Synthetic accuracy and latency of a search space: smooth gains of larger choices, interactions, and a price for each. */
import { architectureKey } from '../../src/space/canonical.js';
import type { Architecture } from '../../src/space/architecture.js';
import { geneValue, isActive } from '../../src/space/gene.js';
import type { SearchSpace } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';

export interface Landscape {
  readonly accuracy: (archs: readonly Architecture[]) => number[];
  readonly latencyMs: (archs: readonly Architecture[]) => number[];
}

/** Active genes add a gain and a price that differ by gene and choice; neighbouring genes interact. */
export function landscape(space: SearchSpace, seed: number): Landscape {
  const { genes } = space;
  const random = createRandom(seed, 'landscape');
  const table = (noise: number): number[][] =>
    genes.map(({ choices }) => {
      const weight = 0.2 + random.float();
      return choices.map((_, i) => weight * ((i + 1) / choices.length) + noise * random.normal());
    });
  const [gain, price] = [table(0.2), table(0.02)];
  const pair = genes.map(() => 0.4 * random.normal());
  const sum = (arch: Architecture, worth: number[][], interaction: boolean): number => {
    let total = 0;
    let before = 0;
    genes.forEach((gene, g) => {
      if (!isActive(arch, gene)) return;
      const own = worth[g]![gene.choices.indexOf(geneValue(arch, gene))]!;
      total += own + (interaction ? pair[g]! * own * before : 0);
      before = own;
    });
    return total;
  };
  return {
    accuracy: (archs) => archs.map((arch) => 100 - 60 * Math.exp(-sum(arch, gain, true) / genes.length)),
    latencyMs: (archs) => archs.map((arch) => 1 + Math.max(0, sum(arch, price, false))),
  };
}

/** Counts how often each network is asked for. */
export function counting(
  space: SearchSpace,
  predict: (archs: readonly Architecture[]) => number[],
): { predict: (archs: readonly Architecture[]) => number[]; calls: Map<string, number> } {
  const calls = new Map<string, number>();
  return {
    calls,
    predict: (archs) => {
      for (const arch of archs) {
        const key = architectureKey(space.genes, arch);
        calls.set(key, (calls.get(key) ?? 0) + 1);
      }
      return predict(archs);
    },
  };
}
