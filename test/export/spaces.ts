/** Supernets for the tests of exporting: no symmetry in them that could hide a mistake, and activations of sane size. */
import { statisticsOf } from '../../src/supernet/subnet.js';
import { storedParameters } from '../../src/supernet/weights.js';
import type { Architecture } from '../../src/space/architecture.js';
import { networkParameters } from '../../src/space/parameters.js';
import { architectureOf, type SearchSpace } from '../../src/space/space.js';
import { createRandom, type Random } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';

function filled(shape: readonly number[], value: (i: number) => number): Tensor {
  return tensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => value(i)),
  );
}

/** Random everything; kernel transforms near, but not, the identity. */
export function randomSupernet(space: SearchSpace, seed: string): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  for (const { name, role, shape } of storedParameters(space)) {
    const random = createRandom(seed, name);
    const make: Record<typeof role, (i: number) => number> = {
      weight: () => random.normal() * Math.sqrt((2 * shape[0]!) / sizeOf(shape)),
      bias: () => 0.3 * random.normal(),
      normScale: () => 0.7 + 0.6 * random.float(),
      normShift: () => 0.3 * random.normal(),
      runningMean: () => 0.3 * random.normal(),
      runningVariance: () => 0.5 + random.float(),
      kernelTransform: (i) => (i % (shape[1]! + 1) === 0 ? 0.8 : 0) + 0.1 * random.normal(),
    };
    weights.set(name, filled(shape, make[role]));
  }
  return weights;
}

/** Batch-norm statistics as recalibration gives them to one subnet. */
export function randomStatistics(space: SearchSpace, arch: Architecture, seed: string): Map<string, Tensor> {
  const network = space.network(arch);
  const wanted = new Set(statisticsOf(network));
  return new Map(
    networkParameters(network, 'used')
      .filter(({ name }) => wanted.has(name))
      .map(({ name, role, shape }) => {
        const random = createRandom(seed, 'statistics', name);
        const value = role === 'runningMean' ? () => 0.3 * random.normal() : () => 0.5 + random.float();
        return [name, filled(shape, value)];
      }),
  );
}

export function randomArchitecture({ genes }: SearchSpace, random: Random): Architecture {
  return architectureOf(genes, ({ choices }) => random.pick(choices));
}
