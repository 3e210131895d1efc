/** Pools come back from ONNX files, and forms that could mean something else are refused. */
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { averagePool } from '../../src/graph/operations/averagePool.js';
import { maxPool } from '../../src/graph/operations/maxPool.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import { onnx, type Onnx } from '../../src/lowering/onnxProto.js';
import { readOnnx } from '../../src/lowering/readOnnx.js';
import { UserError } from '../../src/util/errors.js';

const x = Float32Array.from({ length: 35 }, (_, i) => Math.sin(i * i));

function written(pool: typeof maxPool, kernel: number, padding: number, windows: [number, number]) {
  const b = new GraphBuilder();
  const input = b.input('x', [1, 1, 7, 5]);
  b.output('y', pool(b, input, { kernel, stride: 2, padding, windows }));
  return b.build();
}

/** The file with attributes of its first node changed; undefined removes one. */
function changed(
  bytes: Uint8Array,
  change: Readonly<Record<string, number | number[] | undefined>>,
): Uint8Array {
  const model = onnx.ModelProto.decode(bytes);
  const node = model.graph!.node![0]!;
  const { INT, INTS } = onnx.AttributeProto.AttributeType;
  const kept = node.attribute!.filter(({ name }) => !(name! in change));
  const added = Object.entries(change).flatMap(([name, value]): Onnx.IAttributeProto[] => {
    if (value === undefined) return [];
    return [typeof value === 'number' ? { name, type: INT, i: value } : { name, type: INTS, ints: value }];
  });
  node.attribute = [...kept, ...added];
  return onnx.ModelProto.encode(model).finish();
}

const valuesOf = (bytes: Uint8Array): number[] => [
  ...evaluate(readOnnx(bytes).graph, new Map([['x', x]])).get('y')!.data,
];

const pools = [
  ['maxPool', maxPool],
  ['averagePool', averagePool],
] as const;
const forms = [
  [3, 1, [4, 3]],
  [2, 0, [3, 2]],
  [2, 0, [4, 3]],
  [3, 0, [4, 3]],
] as const;
const cases = pools.flatMap(([name, pool]) =>
  forms.map(([kernel, padding, windows]) => ({
    name,
    pool,
    kernel,
    padding,
    windows: [...windows] as [number, number],
  })),
);

it.each(cases)(
  '$name $kernel, padding $padding, windows $windows comes back',
  ({ pool, kernel, padding, windows }) => {
    const graph = written(pool, kernel, padding, windows);
    const bytes = onnxTarget.lower(graph);
    expect(valuesOf(bytes)).toEqual([...evaluate(graph, new Map([['x', x]])).get('y')!.data]);
    expect(onnxTarget.lower(readOnnx(bytes).graph)).toEqual(bytes);
  },
);

describe('forms that others write', () => {
  it.each(pools)('%s with ceil_mode in place of padding at the end', (_, pool) => {
    const bytes = onnxTarget.lower(written(pool, 2, 0, [4, 3]));
    expect(valuesOf(changed(bytes, { pads: undefined, ceil_mode: 1 }))).toEqual(valuesOf(bytes));
  });

  it('averagePool that counts padding where there is none', () => {
    const bytes = onnxTarget.lower(written(averagePool, 2, 0, [3, 2]));
    expect(valuesOf(changed(bytes, { count_include_pad: 1 }))).toEqual(valuesOf(bytes));
  });
});

it.each<[string, typeof maxPool, Parameters<typeof changed>[1], string]>([
  ['padding that counts', averagePool, { count_include_pad: 1 }, 'count_include_pad must be 0: it is 1'],
  ['unequal sides', maxPool, { kernel_shape: [2, 3] }, 'kernel_shape must be 2 equal numbers'],
  ['unequal padding', maxPool, { pads: [1, 0, 1, 1] }, 'pads must be 4 numbers below the kernel'],
  ['too much padding', maxPool, { pads: [3, 3, 1, 1] }, 'pads must be 4 numbers below the kernel'],
  ['stride 0', maxPool, { strides: [0, 0] }, 'strides positive'],
  ['dilations', maxPool, { dilations: [2, 2] }, 'dilations must be 1'],
  [
    'a window beside the image',
    maxPool,
    { strides: [9, 9], ceil_mode: 1, pads: [0, 0, 2, 2] },
    'cover a part',
  ],
])('%s: refused', (_, pool, change, message) => {
  const bytes = changed(onnxTarget.lower(written(pool, 3, 1, [4, 3])), change);
  expect(() => readOnnx(bytes)).toThrow(UserError);
  expect(() => readOnnx(bytes)).toThrow(message);
});
