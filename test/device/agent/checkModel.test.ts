import proto from 'onnx-proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkModel } from '../../../src/device/agent/checkModel.js';
import { nullModel, blockModel } from '../../../src/device/referenceModels.js';
import { randomBlockModel, randomNetworkModel } from '../../../src/latency/models.js';
import { distinctBlocks } from '../../../src/latency/blocks.js';
import { loadSpace } from '../../../src/space/presets.js';
import { UserError } from '../../../src/util/errors.js';
import { endlessModel } from '../../support/smallModels.js';

const { onnx } = proto;
const { GRAPH, TENSOR } = onnx.AttributeProto.AttributeType;
const sound = (): Uint8Array => blockModel(8);
const bytesOf = (model: proto.onnx.IModelProto): Uint8Array => onnx.ModelProto.encode(model).finish();
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** The sound model after `change`. */
function changed(change: (model: proto.onnx.ModelProto, graph: proto.onnx.IGraphProto) => void): Uint8Array {
  const model = onnx.ModelProto.decode(sound());
  change(model, model.graph!);
  return bytesOf(model);
}

const outside: proto.onnx.ITensorProto = {
  name: 'expand',
  dims: [96, 24, 1, 1],
  dataType: 1,
  dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
  externalData: [{ key: 'location', value: '../../etc/passwd' }],
};
const inner = { name: 'inner', node: [{ opType: 'Identity', input: ['x'], output: ['z'] }] };

/** Bytes of two models, one after the other: one message in which fields come twice. */
const joined = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

const refused: readonly [string, Uint8Array, RegExp][] = [
  ['nothing', new Uint8Array(), /not an ONNX file/],
  ['noise', Uint8Array.from({ length: 500 }, (_, i) => (i * 97) % 256), /not an ONNX file/],
  [
    'a weight in another file',
    changed((_, graph) => (graph.initializer![0] = outside)),
    /"expand" is in another file/,
  ],
  [
    'a weight that only names another file',
    changed((_, graph) => (graph.initializer![0]!.externalData = outside.externalData!)),
    /in another file/,
  ],
  [
    'a constant in another file',
    changed((_, { node }) =>
      node!.push({
        opType: 'Constant',
        output: ['k'],
        attribute: [{ name: 'value', type: TENSOR, t: outside }],
      }),
    ),
    /in another file/,
  ],
  [
    'an attribute of another type with a tensor in another file',
    changed((_, { node }) => node![0]!.attribute!.push({ name: 'odd', type: GRAPH, tensors: [outside] })),
    /in another file/,
  ],
  [
    'a compiled context, which names a file',
    changed((model, { node }) => {
      model.opsetImport.push({ domain: 'com.microsoft', version: 1 });
      node![0]!.domain = 'com.microsoft';
      node![0]!.opType = 'EPContext';
    }),
    /operators must be those of the ONNX standard/,
  ],
  [
    'an operator of another domain',
    changed((_, { node }) => (node![1]!.domain = 'custom')),
    /"Relu".* of domain "custom"/,
  ],
  [
    'an import of another domain',
    changed((model) => model.opsetImport.push({ domain: 'ai.onnx.contrib', version: 1 })),
    /ai\.onnx\.contrib/,
  ],
  ['no import at all', changed((model) => (model.opsetImport = [])), /names none/],
  [
    'a loop',
    changed((_, { node }) =>
      node!.push({
        opType: 'Loop',
        input: ['', ''],
        output: ['l'],
        attribute: [{ name: 'body', type: GRAPH, g: inner }],
      }),
    ),
    /without loops or branches: operator "Loop"/,
  ],
  [
    'branches',
    changed((_, { node }) =>
      node!.push({
        opType: 'If',
        input: ['x'],
        output: ['l'],
        attribute: [{ name: 'then_branch', graphs: [inner] }],
      }),
    ),
    /without loops or branches/,
  ],
  [
    'functions',
    changed((model) => model.functions.push(onnx.FunctionProto.create({ name: 'f' }))),
    /functions/,
  ],
  [
    'training steps',
    changed((model) => model.trainingInfo.push(onnx.TrainingInfoProto.create({}))),
    /training/,
  ],
  ['a sparse weight', changed((_, graph) => (graph.sparseInitializer = [{ values: outside }])), /dense/],
  [
    'a sparse constant',
    changed((_, { node }) =>
      node![0]!.attribute!.push({ name: 'sparse_value', sparseTensor: { values: outside } }),
    ),
    /dense/,
  ],
  ['no operators', changed((_, graph) => (graph.node = [])), /1 to 100000 operators: it has 0/],
  ['an input without a shape', changed((_, graph) => (graph.input![0]!.type = null)), /"x" is not/],
  [
    'an open size that is not the batch',
    changed((_, { input }) => (input![0]!.type!.tensorType!.shape!.dim![2] = { dimParam: 'height' })),
    /"x" has 0 at axis 2/,
  ],
  [
    'an input of 2^62 elements',
    changed((_, { input }) => {
      for (const dim of input![0]!.type!.tensorType!.shape!.dim!) dim.dimValue = 46341;
    }),
    /at most 268435456 elements/,
  ],
];

describe('what an agent accepts as a model', () => {
  it.each(refused)('not %s', (_, model, message) => {
    expect(() => checkModel(model)).toThrow(UserError);
    expect(() => checkModel(model)).toThrow(message);
  });

  it('every model that is measured, byte by byte as it was', async () => {
    const space = await loadSpace('mbv3-tiny');
    const models = [
      sound(),
      nullModel(),
      endlessModel(),
      randomNetworkModel(space, space.largest, 1),
      ...distinctBlocks(space, [space.parameters.imageSizes[0]!])
        .slice(0, 12)
        .map((block) => randomBlockModel(block, 2)),
    ];
    for (const model of models) expect(Buffer.compare(checkModel(model), model)).toBe(0);
  });

  it('an open batch', () => {
    const model = changed(
      (_, { input }) => (input![0]!.type!.tensorType!.shape!.dim![0] = { dimParam: 'N' }),
    );
    expect(Buffer.compare(checkModel(model), model)).toBe(0);
  });

  // A reader that merges fields that come twice sees both graphs, one that replaces them the second only.
  it('no graph behind another: what is handed on holds only what was looked at', () => {
    const hidden = changed((_, graph) => (graph.initializer![0] = outside));
    expect(text(hidden)).toContain('etc/passwd');
    for (const model of [joined(hidden, sound()), joined(sound(), hidden), joined(hidden, hidden)]) {
      let handedOn = new Uint8Array();
      try {
        handedOn = Uint8Array.from(checkModel(model));
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
      expect(text(handedOn)).not.toContain('etc/passwd');
    }
  });

  it('no fields that it does not know', () => {
    // Field 1000, length-delimited.
    const unknown = Buffer.concat([Buffer.from([0xc2, 0x3e, 0x07]), Buffer.from('a/b/c/d')]);
    const model = joined(sound(), unknown);
    expect(text(model)).toContain('a/b/c/d');
    expect(Buffer.compare(checkModel(model), sound())).toBe(0);
  });

  it('nothing that is damaged in a way that it would not say (property)', () => {
    const base = blockModel(4).slice(0, 400);
    const tail = blockModel(4).slice(-400);
    const bytes = joined(base, tail);
    fc.assert(
      fc.property(
        fc.constantFrom(sound(), bytes, nullModel()),
        fc.array(fc.record({ at: fc.nat(100_000), value: fc.nat(255) }), { minLength: 1, maxLength: 8 }),
        fc.nat(100_000),
        (model, edits, cut) => {
          const copy = Uint8Array.from(model).slice(0, cut % 2 === 0 ? undefined : cut % model.byteLength);
          for (const { at, value } of edits)
            if (copy.length > 0) copy[at % Math.min(copy.length, 2000)] = value;
          let accepted: Uint8Array;
          try {
            accepted = checkModel(copy);
          } catch (error) {
            expect(error).toBeInstanceOf(UserError);
            return;
          }
          expect(Buffer.compare(checkModel(accepted), accepted)).toBe(0);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('no nesting that fills the stack', () => {
    let graph: proto.onnx.IGraphProto = { name: 'g' };
    for (let depth = 0; depth < 60; depth++)
      graph = { name: 'g', node: [{ opType: 'If', attribute: [{ name: 'a', type: GRAPH, g: graph }] }] };
    const deep = bytesOf({ irVersion: 8, opsetImport: [{ domain: '', version: 17 }], graph });
    expect(() => checkModel(deep)).toThrow(UserError);
    // Deeper than an encoder would go: attribute 5, graph 6, again and again, each length around the one within.
    let bytes: Buffer = Buffer.alloc(0);
    const varint = (value: number): Buffer => {
      const out: number[] = [];
      for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) | 128);
      return Buffer.from([...out, value]);
    };
    const field = (number: number, content: Buffer): Buffer =>
      Buffer.concat([varint(number * 8 + 2), varint(content.length), content]);
    for (let depth = 0; depth < 5000; depth++) bytes = field(1, field(5, field(6, bytes)));
    expect(() => checkModel(field(7, bytes))).toThrow(UserError);
  });
});
