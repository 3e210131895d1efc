/** Reading ONNX back: what is written is what is read, and what cannot be read is said. */
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder, type Graph } from '../../src/graph/graph.js';
import { activation } from '../../src/graph/operations/activation.js';
import { slice, transpose } from '../../src/graph/operations/shape.js';
import { softmax } from '../../src/graph/operations/softmax.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import { onnx, type Onnx } from '../../src/lowering/onnxProto.js';
import { forInference } from '../../src/lowering/passes/forInference.js';
import { readOnnx } from '../../src/lowering/readOnnx.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf } from '../../src/util/tensor.js';
import { subnetGraph } from './subnetGraph.js';
import '../support/matchers.js';

const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

function feeds(graph: Graph): Map<string, Float32Array> {
  return new Map(
    [...graph.inputs].map(([name, { shape }]) => {
      const random = createRandom('feeds', name);
      return [name, Float32Array.from({ length: sizeOf(shape) }, () => random.normal())];
    }),
  );
}

/** The file gives the same function: the same numbers from the same inputs. */
function expectSame(read: Graph, original: Graph): void {
  const given = feeds(original);
  const expected = evaluate(original, given);
  const results = evaluate(read, given);
  expect([...results.keys()]).toEqual([...expected.keys()]);
  for (const [name, { shape, data }] of expected) {
    expect(results.get(name)!.shape).toEqual(shape);
    expect(results.get(name)!.data).toBeAllclose(data, { relative: 1e-6 });
  }
}

describe('what was written', () => {
  it.each([
    ['as trained, batch norm and all', (g: Graph) => g],
    ['as exported', forInference],
  ])('comes back: a network %s', (_what, pass) => {
    const graph = pass(subnetGraph());
    const { graph: read, metadata } = readOnnx(
      onnxTarget.lower(graph, { metadata: { key: 'value', __proto__x: '' } }),
    );
    expectSame(read, graph);
    expect(metadata.get('key')).toBe('value');
  });

  it('comes back node by node where forms are equal', () => {
    const graph = forInference(subnetGraph());
    const { graph: read } = readOnnx(onnxTarget.lower(graph));
    const names = (g: Graph): string[] =>
      g.nodes.filter(({ operation }) => operation.name === 'conv2d').map(({ name }) => name);
    expect(names(read)).toEqual(names(graph));
    expect([...read.constants.values()].map(({ name }) => name).sort()).toEqual(
      [...graph.constants.values()].map(({ name }) => name).sort(),
    );
    const again = readOnnx(onnxTarget.lower(read)).graph;
    expect(onnxTarget.lower(again)).toEqual(onnxTarget.lower(read));
  });

  it('comes back: activations, slices, transpositions, softmax, outputs that are inputs', () => {
    const b = new GraphBuilder();
    const x = b.input('x', [2, 3, 5]);
    const y = slice(b, transpose(b, x, [2, 0, 1]), [1, 0, 1], [3, 2, 2]);
    b.output('softmax', softmax(b, y));
    for (const fn of ['relu', 'relu6', 'h_swish', 'h_sigmoid', 'h_sigmoid_of_double'] as const)
      b.output(fn, activation(b, y, fn));
    b.output('again', x);
    const graph = b.build();
    expectSame(readOnnx(onnxTarget.lower(graph)).graph, graph);
  });
});

interface Parts {
  readonly nodes: readonly Onnx.INodeProto[];
  readonly initializers?: readonly Onnx.ITensorProto[];
  readonly input?: readonly number[];
  readonly output?: readonly number[];
  readonly model?: Onnx.IModelProto;
}

const info = (name: string, shape: readonly number[]): Onnx.IValueInfoProto => ({
  name,
  type: {
    tensorType: { elemType: DataType.FLOAT, shape: { dim: shape.map((dimValue) => ({ dimValue })) } },
  },
});

/** A file with input `x` and output `y`. */
function file({ nodes, initializers = [], input = [2, 6], output = [2, 6], model = {} }: Parts): Uint8Array {
  return onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph: {
      name: 'test',
      node: [...nodes],
      initializer: [...initializers],
      input: [info('x', input)],
      output: [info('y', output)],
    },
    ...model,
  }).finish();
}

const ints = (name: string, values: readonly number[]): Onnx.ITensorProto => ({
  name,
  dims: [values.length],
  dataType: DataType.INT64,
  int64Data: [...values],
});
const floats = (name: string, dims: readonly number[], values: readonly number[]): Onnx.ITensorProto => ({
  name,
  dims: [...dims],
  dataType: DataType.FLOAT,
  floatData: [...values],
});
const node = (
  opType: string,
  input: readonly string[],
  attribute: readonly Onnx.IAttributeProto[] = [],
): Onnx.INodeProto => ({ opType, name: 'it', input: [...input], output: ['y'], attribute: [...attribute] });

describe('forms that others write', () => {
  const x = Float32Array.from({ length: 12 }, (_, i) => i - 6);
  const run = (parts: Parts): number[] => [
    ...evaluate(readOnnx(file(parts)).graph, new Map([['x', x]])).get('y')!.data,
  ];
  const all = [...x];

  it.each<[string, Parts, number[]]>([
    [
      'Reshape with 0 and -1',
      { nodes: [node('Reshape', ['x', 's'])], initializers: [ints('s', [0, -1, 3])], output: [2, 2, 3] },
      all,
    ],
    ['Flatten', { nodes: [node('Flatten', ['x'])], input: [2, 2, 3], output: [2, 6] }, all],
    [
      'Flatten at 0',
      { nodes: [node('Flatten', ['x'], [{ name: 'axis', type: AttributeType.INT, i: 0 }])], output: [1, 12] },
      all,
    ],
    [
      'Unsqueeze at the ends',
      { nodes: [node('Unsqueeze', ['x', 'a'])], initializers: [ints('a', [-1, 0])], output: [1, 2, 6, 1] },
      all,
    ],
    [
      'Squeeze',
      { nodes: [node('Squeeze', ['x', 'a'])], initializers: [ints('a', [1])], input: [2, 1, 6] },
      all,
    ],
    ['Squeeze of all', { nodes: [node('Squeeze', ['x'])], input: [2, 1, 6, 1] }, all],
    [
      'Slice from the end',
      {
        nodes: [node('Slice', ['x', 'from', 'to', 'axes'])],
        initializers: [ints('from', [-2]), ints('to', [2 ** 40]), ints('axes', [-1])],
        output: [2, 2],
      },
      [-2, -1, 4, 5],
    ],
    [
      'Clip without an upper limit',
      { nodes: [node('Clip', ['x', 'low'])], initializers: [floats('low', [], [0])] },
      all.map((v) => Math.max(v, 0)),
    ],
    [
      'Add of a Constant node',
      {
        nodes: [
          {
            opType: 'Constant',
            output: ['c'],
            attribute: [{ name: 'value', type: AttributeType.TENSOR, t: floats('', [], [2]) }],
          },
          node('Add', ['x', 'c']),
        ],
      },
      all.map((v) => v + 2),
    ],
    [
      'Gemm with a bias for all',
      {
        nodes: [node('Gemm', ['x', 'w', 'c'])],
        initializers: [floats('w', [6, 1], [1, 1, 1, 1, 1, 1]), floats('c', [1], [0.5])],
        output: [2, 1],
      },
      [-20.5, 15.5],
    ],
    [
      'Gemm with both transposed',
      {
        nodes: [
          node(
            'Gemm',
            ['x', 'w'],
            [
              { name: 'transA', type: AttributeType.INT, i: 1 },
              { name: 'transB', type: AttributeType.INT, i: 1 },
            ],
          ),
        ],
        initializers: [floats('w', [1, 2], [1, -1])],
        output: [6, 1],
      },
      [-6, -6, -6, -6, -6, -6],
    ],
    [
      'MatMul',
      {
        nodes: [node('MatMul', ['x', 'w'])],
        initializers: [floats('w', [6, 1], [1, 0, 0, 0, 0, 1])],
        output: [2, 1],
      },
      [-7, 5],
    ],
    ['Identity', { nodes: [node('Identity', ['x'])] }, all],
    [
      'initialisers listed as inputs',
      {
        nodes: [node('Add', ['x', 'c'])],
        model: {
          graph: {
            node: [node('Add', ['x', 'c'])],
            initializer: [floats('c', [1], [1])],
            input: [info('x', [2, 6]), info('c', [1])],
            output: [info('y', [2, 6])],
          },
        },
      },
      all.map((v) => v + 1),
    ],
  ])('%s', (_what, parts, expected) => {
    expect(run(parts)).toEqual(expected);
  });
});

describe('what cannot be read is said', () => {
  const conv = (attribute: Onnx.IAttributeProto[], weight = [1, 1, 3, 3]): Parts => ({
    nodes: [node('Conv', ['x', 'w'], attribute)],
    initializers: [floats('w', weight, new Array<number>(sizeOf(weight)).fill(1))],
    input: [1, 1, 5, 5],
    output: [1, 1, 3, 3],
  });
  const intList = (name: string, values: number[]): Onnx.IAttributeProto => ({
    name,
    type: AttributeType.INTS,
    ints: values,
  });

  it.each<[string, Parts]>([
    [
      'operator Einsum at node "it": it is not one of those that can be read',
      { nodes: [node('Einsum', ['x'])] },
    ],
    ['of domain "com.x"', { nodes: [{ ...node('Relu', ['x']), domain: 'com.x' }] }],
    [
      'attribute "speed" is not supported',
      { nodes: [node('Relu', ['x'], [{ name: 'speed', type: AttributeType.INT, i: 1 }])] },
    ],
    ['dilations must be 1', conv([intList('dilations', [2, 2])])],
    ['pads must be 4 equal numbers: they are [0, 0, 1, 1]', conv([intList('pads', [0, 0, 1, 1])])],
    [
      'auto_pad must be NOTSET: it is SAME_UPPER',
      conv([{ name: 'auto_pad', type: AttributeType.STRING, s: Buffer.from('SAME_UPPER') }]),
    ],
    ['strides and group must be positive', conv([intList('strides', [0, 0])])],
    ['Cannot apply conv2d', conv([], [1, 2, 3, 3])],
    ['attribute "pads" must be of type INTS', conv([{ name: 'pads', type: AttributeType.INT, i: 1 }])],
    ['limits must be 0 and 6', { nodes: [node('Clip', ['x'])] }],
    ['alpha must be', { nodes: [node('HardSigmoid', ['x'])] }],
    ['"z" is not there', { nodes: [node('Add', ['x', 'z'])] }],
    ['2 to 2 inputs are wanted: there are 1', { nodes: [node('Add', ['x'])] }],
    ['the shape must be a constant: it is computed', { nodes: [node('Reshape', ['x', 'x'])] }],
    ['used twice', { nodes: [node('Relu', ['x']), node('Relu', ['x'])] }],
    ['must be [2, 7] as declared: it is [2, 6]', { nodes: [node('Relu', ['x'])], output: [2, 7] }],
    [
      'needs 16777216 values: the file has 1',
      { nodes: [node('Add', ['x', 'c'])], initializers: [floats('c', [2 ** 12, 2 ** 12], [1])] },
    ],
    [
      'elements are wanted',
      { nodes: [node('Relu', ['x'])], input: [2 ** 30, 2 ** 30], output: [2 ** 30, 2 ** 30] },
    ],
    ['elements are wanted', conv([intList('pads', [2 ** 40, 2 ** 40, 2 ** 40, 2 ** 40])])],
    [
      'float32 is wanted: its type is float16',
      {
        nodes: [node('Add', ['x', 'c'])],
        initializers: [{ ...floats('c', [1], []), dataType: DataType.FLOAT16, rawData: new Uint8Array(2) }],
      },
    ],
    [
      'its data must be in the file itself',
      {
        nodes: [node('Add', ['x', 'c'])],
        initializers: [{ ...floats('c', [1], [1]), dataLocation: onnx.TensorProto.DataLocation.EXTERNAL }],
      },
    ],
    [
      'an opset of 13 to',
      { nodes: [node('Relu', ['x'])], model: { opsetImport: [{ domain: '', version: 9 }] } },
    ],
    ['it has no output', { nodes: [], model: { graph: { name: 'empty' } } }],
  ])('%s', (message, parts) => {
    const read = (): unknown => readOnnx(file(parts), { where: 'net.onnx' });
    expect(read).toThrow(UserError);
    expect(read).toThrow(message);
    expect(read).toThrow(/^Cannot read net\.onnx/);
  });

  it.each([
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('{"image_size":160}')],
    ['zeros', new Uint8Array(1000)],
    ['a deep nest', nest(20_000)],
  ])('%s is no ONNX file', (_what, bytes) => {
    expect(() => readOnnx(bytes)).toThrow(UserError);
  });
});

/** Field 7 (graph) > field 1 (node) > field 5 (attribute) > field 6 (graph) > ..., without end. */
function nest(depth: number): Uint8Array {
  let body: number[][] = [];
  let length = 0;
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
  for (let i = 0; i < depth; i++) {
    const tag = i === depth - 1 ? 7 : [6, 5, 1][i % 3]!;
    const head = [(tag << 3) | 2, ...varint(length)];
    body = [...body, head];
    length += head.length;
    if (body.length > depth) break;
  }
  return Uint8Array.from(body.reverse().flat());
}
