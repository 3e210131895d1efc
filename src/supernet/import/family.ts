/** How another implementation of a family of networks calls its tensors, and lays them out. */
import type { ParameterSpec } from '../../space/parameters.js';
import type { SearchSpace } from '../../space/space.js';

/** One of our tensors as the other implementation has it: the same values in the same order. */
export interface ForeignTensor {
  /** Ours. */
  readonly name: string;
  /** The name in a state dict. */
  readonly foreignName: string;
  /** The shape there: ones may follow (a dense layer as a 1x1 convolution). */
  readonly foreignShape: readonly number[];
}

export interface ForeignFamily {
  /** `family` of the space. */
  readonly family: string;
  /** One entry for every parameter, in order; `parameters`: what the supernet stores. */
  tensors(space: SearchSpace, parameters: readonly ParameterSpec[]): ForeignTensor[];
}

const NORM_SUFFIXES: Readonly<Record<string, string>> = {
  weight: 'weight',
  bias: 'bias',
  runningMean: 'running_mean',
  runningVariance: 'running_var',
};

/** `bn.weight`, `bn.running_var`: a parameter of batch norm as PyTorch calls it. */
export function normName(layer: string, suffix: string): string {
  return `${layer}.${NORM_SUFFIXES[suffix]!}`;
}

/** The block and what follows it: `stage2.block1`, `depthwise.weight`. Throws TypeError where no block has the parameter. */
export function splitName(blocks: readonly string[], name: string): { block: string; local: string } {
  const block = blocks.find((b) => name.startsWith(`${b}.`));
  if (block === undefined) throw new TypeError(`Cannot map "${name}": no block has it`);
  return { block, local: name.slice(block.length + 1) };
}
