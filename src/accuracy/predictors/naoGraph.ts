/**
 * The networks of neural architecture optimisation as graphs: an encoder from vectors to embeddings, a head from embeddings
 * to targets, a decoder from embeddings back to vectors. Each has one hidden layer.
 */
import { differentiate } from '../../graph/differentiate.js';
import { GraphBuilder, type Graph, type Value } from '../../graph/graph.js';
import { activation } from '../../graph/operations/activation.js';
import { add, affine, mul, sub } from '../../graph/operations/elementwise.js';
import { matmul } from '../../graph/operations/matmul.js';
import { reduceSum, reshape } from '../../graph/operations/shape.js';
import { crossEntropy } from '../../graph/operations/softmax.js';
import type { Shape } from '../../util/tensor.js';
import type { NamedArrays } from '../adam.js';
import type { Loss } from '../predictor.js';
import { appendLoss } from './losses.js';

export interface NaoShape {
  /** Places of the encoding. */
  readonly inputs: number;
  readonly embedding: number;
  /** Of hidden layers. */
  readonly width: number;
}

export type NaoPart = 'encoder' | 'head' | 'decoder';

/** Weights [in, out], each before its bias [out]. */
export function naoParameters({ inputs, embedding, width }: NaoShape): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  const sizes: readonly (readonly [NaoPart, number, number])[] = [
    ['encoder', inputs, embedding],
    ['head', embedding, 1],
    ['decoder', embedding, inputs],
  ];
  for (const [part, from, to] of sizes) {
    shapes.set(`${part}.hidden.weight`, [from, width]).set(`${part}.hidden.bias`, [width]);
    shapes.set(`${part}.output.weight`, [width, to]).set(`${part}.output.bias`, [to]);
  }
  return shapes;
}

type Parameter = (name: string) => Value;

/** x [N, from] -> [N, to]. */
function perceptron(b: GraphBuilder, part: NaoPart, x: Value, parameter: Parameter): Value {
  const layer = (y: Value, name: string): Value =>
    add(b, matmul(b, y, parameter(`${part}.${name}.weight`)), parameter(`${part}.${name}.bias`));
  return layer(activation(b, layer(x, 'hidden'), 'relu'), 'output');
}

/**
 * Places of a gene each, which one-hot encodings label `GENE=CHOICE` and put side by side. Undefined where a label is not
 * of that form.
 */
export function genePlaces(labels: readonly string[]): number[][] | undefined {
  const groups: number[][] = [];
  let last: string | undefined;
  for (const [place, label] of labels.entries()) {
    const end = label.lastIndexOf('=');
    if (end < 0) return undefined;
    const gene = label.slice(0, end);
    if (gene === last) groups[groups.length - 1]!.push(place);
    else groups.push([place]);
    last = gene;
  }
  return groups;
}

/** Keeps softmax from places that are not there. */
const NEVER = -1e4;

/**
 * How far decoded scores [N, inputs] are from `rows`: minus the logarithm of the architecture's probability, where a gene
 * that is switched off, all zeros, counts nothing; the square error where places are no choices. Mean over rows, [1].
 */
function reconstructionLoss(
  b: GraphBuilder,
  scores: Value,
  rows: Value,
  groups: readonly (readonly number[])[] | undefined,
): Value {
  const [batch, inputs] = rows.shape as readonly [number, number];
  if (groups === undefined) {
    const error = sub(b, scores, rows);
    return reshape(b, affine(b, reduceSum(b, mul(b, error, error), [0, 1]), 1 / (batch * inputs)), [1]);
  }
  // Genes have unlike numbers of choices: places are spread out to as many for each.
  const choices = Math.max(...groups.map(({ length }) => length));
  const spread = new Float32Array(inputs * groups.length * choices);
  const absent = new Float32Array(groups.length * choices).fill(NEVER);
  groups.forEach((places, g) => {
    places.forEach((place, c) => {
      spread[(place * groups.length + g) * choices + c] = 1;
      absent[g * choices + c] = 0;
    });
  });
  const matrix = b.constant('spread', [inputs, groups.length * choices], spread);
  const shape = [batch * groups.length, choices];
  const mask = b.constant('absent', [groups.length * choices], absent);
  const logits = reshape(b, add(b, matmul(b, scores, matrix), mask), shape);
  return affine(b, crossEntropy(b, logits, reshape(b, matmul(b, rows, matrix), shape)), groups.length);
}

export interface NaoTraining {
  readonly loss: Loss;
  /** Share of the head's loss in the sum; the rest is the reconstruction's. */
  readonly headShare: number;
  readonly groups: readonly (readonly number[])[] | undefined;
}

/**
 * Inputs `x` [batch, inputs] with what `lossInputs` gives, `rows` [batch, inputs] to be reconstructed, and the parameters;
 * outputs `loss` [1] and `gradient.NAME`.
 */
export function naoTrainingGraph(shape: NaoShape, batch: number, options: NaoTraining): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', [batch, shape.inputs]);
  const rows = b.input('rows', [batch, shape.inputs]);
  const parameters = new Map([...naoParameters(shape)].map(([name, own]) => [name, b.input(name, own)]));
  const parameter: Parameter = (name) => parameters.get(name)!;
  const encode = (y: Value): Value => perceptron(b, 'encoder', y, parameter);
  const head = appendLoss(b, options.loss, perceptron(b, 'head', encode(x), parameter));
  const decoded = perceptron(b, 'decoder', encode(rows), parameter);
  const reconstruction = reconstructionLoss(b, decoded, rows, options.groups);
  const value = add(b, affine(b, head, options.headShare), affine(b, reconstruction, 1 - options.headShare));
  b.output('loss', value);
  const one = b.constant('one', [1], Float32Array.of(1));
  const gradients = differentiate(b, [{ value, gradient: one }], [...parameters.values()]);
  [...parameters.keys()].forEach((name, i) => b.output(`gradient.${name}`, gradients[i]!));
  return b.build();
}

/** Input `x` [batch, from]; output `y` [batch, to]; of the head also `gradient` [batch, from], of y in x. */
export function naoPartGraph(
  shape: NaoShape,
  part: NaoPart | 'encoder+head',
  batch: number,
  values: NamedArrays,
): Graph {
  const b = new GraphBuilder();
  const shapes = naoParameters(shape);
  const parameter: Parameter = (name) => b.constant(name, shapes.get(name)!, values[name]!);
  const x = b.input('x', [
    batch,
    part === 'encoder' || part === 'encoder+head' ? shape.inputs : shape.embedding,
  ]);
  if (part === 'encoder+head') {
    b.output('y', perceptron(b, 'head', perceptron(b, 'encoder', x, parameter), parameter));
    return b.build();
  }
  const y = perceptron(b, part, x, parameter);
  b.output('y', y);
  if (part === 'head') {
    const ones = b.constant('ones', [batch, 1], new Float32Array(batch).fill(1));
    b.output('gradient', differentiate(b, [{ value: y, gradient: ones }], [x])[0]!);
  }
  return b.build();
}
