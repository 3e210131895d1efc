/** The stored tensors of a supernet: which there are, and their values before training. */
import { architectureOf, type SearchSpace } from '../space/space.js';
import { networkParameters, type ParameterSpec } from '../space/parameters.js';
import type { Architecture } from '../space/architecture.js';
import type { Network } from '../space/network.js';
import { staticNetwork } from '../space/only.js';
import { UserError } from '../util/errors.js';
import { createRandom, type Random } from '../util/random.js';
import { formatShape, sizeOf, tensor, type Tensor } from '../util/tensor.js';

/** Stored tensors by full name (`stage2.block1.depthwise.weight`). */
export type SupernetWeights = Map<string, Tensor>;

/** The largest architecture, and those that differ from it in one gene: together they hold all layers there are. */
function coveringArchitectures({ genes, largest }: SearchSpace): Architecture[] {
  const list = [largest];
  for (const gene of genes) {
    if (gene.list === 'imageSize') continue;
    for (const choice of gene.choices.slice(0, -1)) {
      list.push(architectureOf(genes, (g) => (g === gene ? choice : g.choices[g.choices.length - 1]!)));
    }
  }
  return list;
}

/**
 * Every tensor that the supernet stores: those of the largest architecture, in its order, then what only smaller ones
 * have (a layer that a smaller choice brings in). A dimension is the longest that any of them needs.
 */
export function storedParameters(space: SearchSpace): ParameterSpec[] {
  const byName = new Map<string, ParameterSpec>();
  for (const arch of coveringArchitectures(space)) {
    for (const parameter of networkParameters(space.network(arch), 'stored')) {
      const known = byName.get(parameter.name);
      byName.set(parameter.name, known === undefined ? parameter : merge(known, parameter));
    }
  }
  return [...byName.values()];
}

function merge(a: ParameterSpec, b: ParameterSpec): ParameterSpec {
  if (a.shape.length !== b.shape.length || a.role !== b.role) {
    throw new TypeError(
      `Cannot share "${a.name}" between subnets: its role and rank must be one and the same: ` +
        `${a.role} ${formatShape(a.shape)} and ${b.role} ${formatShape(b.shape)}`,
    );
  }
  if (a.shape.every((n, i) => n >= b.shape[i]!)) return a;
  return { ...a, shape: a.shape.map((n, i) => Math.max(n, b.shape[i]!)) };
}

/** Zeros of the shapes of `parameters`, e.g. for gradients or momentum. */
export function zeroTensors(parameters: readonly ParameterSpec[]): SupernetWeights {
  return new Map(parameters.map(({ name, shape }) => [name, tensor(shape)]));
}

/** Weight of the dense layer that ends in logits, or undefined. */
export function classifierWeight({ blocks }: Network): string | undefined {
  const block = blocks[blocks.length - 1];
  const layer = block?.layers[block.layers.length - 1];
  return block && layer?.kind === 'linear' ? `${block.name}.${layer.name}.weight` : undefined;
}

/**
 * Weights before training, as the reference initialises them (`he_fout`, `ofa/utils/pytorch_utils.py`, `init_models`):
 * convolutions N(0, sqrt(2 / (k * k * out))) with the stored k and out channels, also for depthwise ones, whose fan is
 * really k * k (batch norm follows and makes up for it); the classifier U(-1/sqrt(in), 1/sqrt(in)); the dense layers of
 * squeeze-excite and feature mix are 1x1 convolutions there, so `he_fout` with k = 1; biases 0; batch norm scale 1,
 * shift 0, mean 0, variance 1; kernel transforms the identity. Each tensor has a stream of its own, so equal seeds give
 * equal values for a layer whatever else the space holds.
 */
export function initialiseWeights(space: SearchSpace, seed: number | string): SupernetWeights {
  return initialised(storedParameters(space), classifierWeight(space.network(space.largest)), seed);
}

/** The same for one network by itself (tensors of `staticNetwork`): its own kernel sizes and channels decide. */
export function initialiseNetwork(network: Network, seed: number | string): SupernetWeights {
  return initialised(networkParameters(staticNetwork(network), 'used'), classifierWeight(network), seed);
}

/** 8 GiB of float32: training takes several times as much. */
const MOST_VALUES = 2 ** 31;

function initialised(
  parameters: readonly ParameterSpec[],
  classifier: string | undefined,
  seed: number | string,
): SupernetWeights {
  const values = parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  if (values > MOST_VALUES)
    throw new UserError(
      `Cannot make the weights of this space: at most ${MOST_VALUES} values are wanted: there are ${values}`,
    );
  const weights: SupernetWeights = new Map();
  for (const parameter of parameters) {
    const { name, shape } = parameter;
    const { data } = tensor(shape);
    fill(data, parameter, name === classifier, createRandom(seed, 'initialise', name));
    weights.set(name, { shape, data });
  }
  return weights;
}

function fill(
  data: Float32Array,
  { role, shape }: ParameterSpec,
  isClassifier: boolean,
  random: Random,
): void {
  switch (role) {
    case 'weight':
      if (isClassifier) {
        const bound = 1 / Math.sqrt(shape[1]!);
        for (let i = 0; i < data.length; i++) data[i] = (2 * random.float() - 1) * bound;
      } else {
        const fanOut = shape[0]! * (shape[2] ?? 1) * (shape[3] ?? 1);
        const deviation = Math.sqrt(2 / fanOut);
        for (let i = 0; i < data.length; i++) data[i] = random.normal() * deviation;
      }
      return;
    case 'normScale':
    case 'runningVariance':
      data.fill(1);
      return;
    case 'kernelTransform':
      for (let i = 0; i < shape[0]!; i++) data[i * shape[1]! + i] = 1;
      return;
    case 'bias':
    case 'normShift':
    case 'runningMean':
      return;
  }
}

/** The first tensor with values that are NaN or infinite, in words; undefined where all are finite. */
export function nonFiniteProblem(tensors: ReadonlyMap<string, Tensor>): string | undefined {
  const bad = [...tensors].flatMap(([name, { data }]) => {
    let count = 0;
    for (const value of data) if (!Number.isFinite(value)) count++;
    return count === 0 ? [] : [{ name, count, of: data.length }];
  });
  const [first] = bad;
  if (first === undefined) return undefined;
  const more = bad.length === 1 ? '' : `, and so have ${bad.length - 1} more tensors`;
  return `"${first.name}" has ${first.count} of ${first.of} that are NaN or infinite${more}`;
}

/**
 * What is wrong with tensors that should be those of `parameters`: missing, unexpected and wrongly shaped ones by name,
 * one line each; [] where nothing is.
 */
export function tensorProblems(
  tensors: ReadonlyMap<string, Tensor>,
  parameters: readonly ParameterSpec[],
): string[] {
  const problems: string[] = [];
  const wanted = new Set(parameters.map(({ name }) => name));
  for (const { name, shape } of parameters) {
    const found = tensors.get(name);
    if (found === undefined) problems.push(`missing: ${name} ${formatShape(shape)}`);
    else if (formatShape(found.shape) !== formatShape(shape)) {
      problems.push(`wrong shape: ${name} must be ${formatShape(shape)}: it is ${formatShape(found.shape)}`);
    }
  }
  for (const name of tensors.keys()) if (!wanted.has(name)) problems.push(`unexpected: ${name}`);
  return problems;
}
