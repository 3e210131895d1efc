/** Forward and backward passes block by block, so that programs serve every network that has the block. */
import type { ProgramCache } from '../../engine/programCache.js';
import { differentiate } from '../../graph/differentiate.js';
import { GraphBuilder, type Graph, type Value } from '../../graph/graph.js';
import { appendBlock, backwardGraph, forwardGraph, GRADIENT, segmentName } from '../../graph/network.js';
import { blockSignature, type BlockSpec } from '../../space/network.js';
import { blockParameters, isTrainable } from '../../space/parameters.js';
import { tensor, type Tensor } from '../../util/tensor.js';

type Tensors = ReadonlyMap<string, Tensor>;

export interface BackwardResult {
  /** By full name (`block.layer.suffix`), of everything trainable. */
  readonly gradients: Map<string, Tensor>;
  /** Of the block's input; absent unless asked for. */
  readonly dx?: Tensor;
}

export interface SecondPass {
  readonly x: Tensor;
  readonly dy: Tensor;
  readonly adjointDx: Tensor | undefined;
  readonly along: Tensors;
}
/** Gradients of the scalar that `backwardTwice` names; undefined or absent where it does not depend on the tensor. */
export interface SecondResult {
  readonly dy: Tensor;
  readonly x: Tensor | undefined;
  /** Of weights of convolutions and dense layers, by full name. */
  readonly weights: Tensors;
}

const ALONG = 'along:';

/** Passes of blocks in training form: batch norm takes the batch's statistics. Tensors go by full name. */
export class BlockPasses {
  constructor(private readonly programs: ProgramCache) {}

  /** x: [N, C, H, W]; the result likewise, or [N, features] after a global pool. */
  async forward(block: BlockSpec, tensors: Tensors, x: Tensor): Promise<Tensor> {
    const batch = x.shape[0]!;
    const program = await this.programs.get(`block forward ${batch} ${blockSignature(block)}`, () =>
      forwardGraph([block], batch, 'calibration'),
    );
    const { y } = await program.run({ ...inputsOf(block, tensors), x });
    return y!;
  }

  /** Gradients of <dy, y>. `dy`: of the shape of the block's result. */
  async backward(
    block: BlockSpec,
    tensors: Tensors,
    x: Tensor,
    dy: Tensor,
    inputGradient: boolean,
  ): Promise<BackwardResult> {
    const batch = x.shape[0]!;
    const key = `block backward ${inputGradient ? 'x' : ''} ${batch} ${blockSignature(block)}`;
    const program = await this.programs.get(key, () =>
      backwardGraph([block], batch, { loss: false, inputGradient }),
    );
    const outputs = await program.run({ ...inputsOf(block, tensors), x, dy });
    const gradients = new Map<string, Tensor>();
    for (const { name, role } of blockParameters(block, 'used')) {
      if (isTrainable(role))
        gradients.set(`${block.name}.${name}`, outputs[GRADIENT + segmentName(0, name)]!);
    }
    return inputGradient ? { gradients, dx: outputs[`${GRADIENT}x`]! } : { gradients };
  }

  /**
   * The backward pass itself differentiated: gradients of <adjointDx, dx> + sum <along[w], dw> over the block's weights,
   * with dx and dw the gradients that `backward` gives. `along`: by full name; `adjointDx`: none for the first block.
   */
  async backwardTwice(
    block: BlockSpec,
    tensors: Tensors,
    { x, dy, adjointDx, along }: SecondPass,
  ): Promise<SecondResult> {
    const batch = x.shape[0]!;
    const first = adjointDx === undefined;
    const program = await this.programs.get(
      `block backward twice ${first ? 'first' : ''} ${batch} ${blockSignature(block)}`,
      () => secondGraph(block, batch, first),
    );
    const names = weightsOf(block);
    const directions = Object.fromEntries(
      names.map((name) => [ALONG + name, along.get(`${block.name}.${name}`)!]),
    );
    const outputs = await program.run({
      ...inputsOf(block, tensors),
      x,
      dy,
      ...directions,
      ...(first ? {} : { adjointDx }),
    });
    const weights = new Map<string, Tensor>();
    for (const name of names) {
      const gradient = outputs[GRADIENT + name];
      if (gradient !== undefined) weights.set(`${block.name}.${name}`, gradient);
    }
    return { dy: outputs[`${GRADIENT}dy`]!, x: outputs[`${GRADIENT}x`], weights };
  }

  /** Compiled once a key; for graphs of a proxy's own. */
  async run(
    key: string,
    build: Parameters<ProgramCache['get']>[1],
    inputs: Readonly<Record<string, Tensor>>,
  ): Promise<Record<string, Tensor>> {
    return (await this.programs.get(key, build)).run(inputs);
  }
}

/** A block's parameters as a graph of it alone names them. */
export function inputsOf(block: BlockSpec, tensors: Tensors): Record<string, Tensor> {
  const inputs: Record<string, Tensor> = {};
  for (const { name, role } of blockParameters(block, 'used')) {
    if (isTrainable(role)) inputs[segmentName(0, name)] = tensors.get(`${block.name}.${name}`)!;
  }
  return inputs;
}

function weightsOf(block: BlockSpec): string[] {
  return blockParameters(block, 'used')
    .filter(({ role }) => role === 'weight')
    .map(({ name }) => name);
}

function secondGraph(block: BlockSpec, batch: number, first: boolean): Graph {
  const b = new GraphBuilder();
  const { x, values, y } = appendTraining(b, block, batch);
  const dy = b.input('dy', y.shape);
  const weights = weightsOf(block).map((name) => ({ name, value: values.get(name)! }));
  const wanted = [...(first ? [] : [x]), ...weights.map(({ value }) => value)];
  const gradients = differentiate(b, [{ value: y, gradient: dy }], wanted);
  const adjoints = [
    ...(first ? [] : [b.input('adjointDx', x.shape)]),
    ...weights.map(({ name, value }) => b.input(ALONG + name, value.shape)),
  ];
  const variables = [dy, ...wanted];
  const names = ['dy', ...(first ? [] : ['x']), ...weights.map(({ name }) => name)];
  const seeds = gradients.flatMap((value, i) =>
    value === undefined ? [] : [{ value, gradient: adjoints[i]! }],
  );
  differentiate(b, seeds, variables).forEach((gradient, i) => {
    if (gradient !== undefined) b.output(GRADIENT + names[i]!, gradient);
  });
  return b.build();
}

/** The block in training form with its parameters as inputs, by relative name. */
export function appendTraining(
  b: GraphBuilder,
  block: BlockSpec,
  batch: number,
): { readonly x: Value; readonly values: ReadonlyMap<string, Value>; readonly y: Value } {
  const { channels, height, width } = block.input;
  const x = b.input('x', [batch, channels, height, width]);
  const values = new Map<string, Value>();
  for (const { name, shape, role } of blockParameters(block, 'used')) {
    if (isTrainable(role)) values.set(name, b.input(segmentName(0, name), shape));
  }
  return { x, values, y: appendBlock(b, block, x, (name) => values.get(name)!, 'calibration').y };
}

/** Inputs of every block, and the result of the last one. */
export async function forwardAll(
  passes: BlockPasses,
  blocks: readonly BlockSpec[],
  tensors: Tensors,
  x: Tensor,
): Promise<{ readonly inputs: readonly Tensor[]; readonly y: Tensor }> {
  const inputs: Tensor[] = [];
  let y = x;
  for (const block of blocks) {
    inputs.push(y);
    y = await passes.forward(block, tensors, y);
  }
  return { inputs, y };
}

export interface LossPass {
  readonly logits: Tensor;
  /** Inputs of every block, and the gradients of every block's result. */
  readonly inputs: readonly Tensor[];
  readonly outputGradients: readonly Tensor[];
  /** By full name. */
  readonly gradients: ReadonlyMap<string, Tensor>;
}

/** Gradients of the mean cross entropy of the images' labels. */
export async function lossPass(
  passes: BlockPasses,
  blocks: readonly BlockSpec[],
  tensors: Tensors,
  images: Tensor,
  labels: Int32Array,
): Promise<LossPass> {
  const { inputs, y } = await forwardAll(passes, blocks, tensors, images);
  const gradients = new Map<string, Tensor>();
  const outputGradients: Tensor[] = [];
  let dy = crossEntropyGradient(y, labels);
  for (let i = blocks.length - 1; i >= 0; i--) {
    outputGradients[i] = dy;
    const result = await passes.backward(blocks[i]!, tensors, inputs[i]!, dy, i > 0);
    for (const [name, gradient] of result.gradients) gradients.set(name, gradient);
    if (result.dx !== undefined) dy = result.dx;
  }
  return { logits: y, inputs, outputGradients, gradients };
}

/** Probabilities of each row of logits [N, classes]. */
export function softmaxRows({ shape, data }: Tensor): Tensor {
  const result = tensor(shape);
  const classes = shape[1]!;
  for (let row = 0; row < data.length; row += classes) {
    const logits = data.subarray(row, row + classes);
    const top = Math.max(...logits);
    const total = logits.reduce((sum, v) => sum + Math.exp(v - top), 0);
    logits.forEach((v, i) => (result.data[row + i] = Math.exp(v - top) / total));
  }
  return result;
}

/** (softmax(logits) - one-hot(label)) / N. [N, classes]. */
function crossEntropyGradient(logits: Tensor, labels: Int32Array): Tensor {
  const result = softmaxRows(logits);
  const classes = logits.shape[1]!;
  labels.forEach((label, row) => (result.data[row * classes + label]! -= 1));
  result.data.forEach((v, i) => (result.data[i] = v / labels.length));
  return result;
}
