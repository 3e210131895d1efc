/** Supernets and images of random values for tests. */
import type { SearchSpace } from '../../src/space/space.js';
import { initialiseWeights, type SupernetWeights } from '../../src/supernet/weights.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Shape, type Tensor } from '../../src/util/tensor.js';

export function randomTensor(shape: Shape, ...seed: (string | number)[]): Tensor {
  const random = createRandom(...seed);
  return tensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
}

/** As before training, but nothing at rest: transforms are no identities, shifts no zeros, statistics not those of init. */
export function disturbedWeights(space: SearchSpace, seed: string): SupernetWeights {
  const weights = initialiseWeights(space, seed);
  for (const [name, { data }] of weights) {
    const random = createRandom(seed, 'disturb', name);
    for (let i = 0; i < data.length; i++) data[i]! += 0.2 * random.normal();
    if (name.endsWith('runningVariance'))
      for (let i = 0; i < data.length; i++) data[i] = 0.1 + Math.abs(data[i]!);
  }
  return weights;
}
