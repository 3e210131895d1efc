/** Spaces and architectures for the tests of this folder. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { architectureOf, createSpace, type SearchSpace } from '../../src/space/space.js';
import type { Architecture } from '../../src/space/architecture.js';
import { createRandom, type Random } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { packagePath } from '../../src/util/scripts.js';

export function publishedSpace(name: string): SearchSpace {
  return createSpace(JSON.parse(readFileSync(packagePath(`supernets/${name}/space.json`), 'utf8')));
}

export interface StageOptions {
  readonly squeezeExcite?: boolean;
  readonly depth?: number[];
  readonly kernel?: number[];
  readonly expand?: number[];
}

/** A space of three small stages. */
export function smallSpace(stage: StageOptions = {}, kernelTransform = true): SearchSpace {
  const common = {
    squeezeExcite: true,
    depth: [1, 2],
    kernel: [3, 5, 7],
    expand: [1, 2, 3, 4],
    ...stage,
  };
  return createSpace({
    format: 'ofakit.space/1',
    name: 'small',
    description: 'for tests',
    family: 'mbconv',
    inputChannels: 3,
    imageSizes: [16, 24],
    classes: 5,
    width: 1,
    dropout: 0,
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    network: {
      stem: { width: 8, kernel: 3, stride: 1, activation: 'h_swish' },
      stages: [
        { width: 8, stride: 1, activation: 'relu', ...common },
        { width: 16, stride: 2, activation: 'h_swish', ...common },
        { width: 16, stride: 1, activation: 'relu6', ...common, squeezeExcite: false },
      ],
      head: { expand: 32, mix: 24, activation: 'h_swish' },
      kernelTransform,
    },
  });
}

/** Any architecture of a space. */
export function architectures({ genes }: SearchSpace): fc.Arbitrary<Architecture> {
  return fc
    .tuple(...genes.map(({ choices }) => fc.constantFrom(...choices)))
    .map((values) => architectureOf(genes, (gene) => values[genes.indexOf(gene)]!));
}

export function randomArchitecture({ genes }: SearchSpace, random: Random): Architecture {
  return architectureOf(genes, ({ choices }) => random.pick(choices));
}

export function randomTensor(shape: readonly number[], ...seed: (string | number)[]): Tensor {
  const random = createRandom(...seed, shape.join('x'));
  return tensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
}

/** Random values for every tensor, variances positive: no symmetry that could hide a mistake. */
export function randomised(weights: ReadonlyMap<string, Tensor>, seed: string): Map<string, Tensor> {
  return new Map(
    [...weights].map(([name, { shape }]) => {
      const made = randomTensor(shape, seed, name);
      if (name.endsWith('runningVariance')) made.data.forEach((v, i) => (made.data[i] = 0.5 + Math.abs(v)));
      return [name, made];
    }),
  );
}
