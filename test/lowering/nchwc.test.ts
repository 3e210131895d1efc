/** Whole training steps by the blocked lowering are those of plain operators, and plain operators are the fallback. */
import { describe, expect, it } from 'vitest';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { probeBlocked } from '../../src/engine/onnxruntime/probe.js';
import { loadRuntime, type Runtime } from '../../src/engine/onnxruntime/runtime.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { differentiate } from '../../src/graph/differentiate.js';
import { GraphBuilder, type Graph, type Value } from '../../src/graph/graph.js';
import { backwardGraph, forwardGraph, GRADIENT } from '../../src/graph/network.js';
import { batchNorm } from '../../src/graph/operations/batchNorm.js';
import { activation } from '../../src/graph/operations/activation.js';
import { add, mul } from '../../src/graph/operations/elementwise.js';
import { matmul } from '../../src/graph/operations/matmul.js';
import { asImage, globalAveragePool } from '../../src/graph/operations/pool.js';
import { conv2d } from '../../src/graph/operations/conv.js';
import { BLOCKED_DOMAIN } from '../../src/lowering/nchwc/operators.js';
import { onnxTarget } from '../../src/lowering/onnx.js';
import { onnx } from '../../src/lowering/onnxProto.js';
import type { LoweringTarget } from '../../src/lowering/target.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom, type Random } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { shippedSpace } from '../support/spaces.js';
import '../support/matchers.js';

/** Weights as large as initial ones, so that signals neither die nor explode; scales around 1. */
function feedsOf(graph: Graph, random: Random): Record<string, Tensor> {
  return Object.fromEntries(
    [...graph.inputs].map(([name, { shape }]) => {
      const fanIn = shape.length > 1 && name !== 'x' ? sizeOf(shape.slice(1)) : 1;
      const offset = shape.length === 1 && name.endsWith('weight') ? 1 : 0;
      const spread = shape.length === 1 ? 0.1 : Math.sqrt((name === 'x' ? 1 : 2) / fanIn);
      const data = Float32Array.from({ length: sizeOf(shape) }, () => offset + spread * random.normal());
      return [name, tensor(shape, data)];
    }),
  );
}

async function run(
  target: LoweringTarget,
  graph: Graph,
  feeds: Record<string, Tensor>,
): Promise<Record<string, Tensor>> {
  const engine = await createOnnxRuntimeEngine({ threads: 2, target, optimization: 'basic' });
  const program = await engine.compile(graph);
  const results = await program.run(feeds);
  await program.dispose();
  return results;
}

/** Length of the difference of two vectors, relative to the expected one's. */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  let [difference, length] = [0, 0];
  expected.forEach((v, i) => {
    difference += (v - actual[i]!) ** 2;
    length += v * v;
  });
  return Math.sqrt(difference / (length + 1e-12 * expected.length));
}

const probe = await probeBlocked(await loadRuntime());
const blocked = 'target' in probe ? probe.target : undefined;

/** Names of the operators of the blocked domain in a graph's model. */
function blockedOperators(graph: Graph): Set<string> {
  const { graph: model } = onnx.ModelProto.decode(blocked!.lower(graph));
  return new Set(model!.node!.filter(({ domain }) => domain === BLOCKED_DOMAIN).map(({ opType }) => opType!));
}

describe.skipIf(blocked === undefined)('the blocked lowering', () => {
  it.each([
    ['mbv3-tiny', 28, 8],
    ['mbv3-cifar', 24, 4],
    ['ofa-mbv3', 64, 3],
  ] as const)('trains a subnet of %s at %i as plain operators do', async (name, size, batch) => {
    const space = shippedSpace(name, { imageSizes: [size], classes: 10 });
    const random = createRandom('step', name);
    const network = space.network(sampleArchitecture(space.genes, random));
    const graph = backwardGraph(network.blocks, batch, { loss: true, inputGradient: true });
    const feeds = feedsOf(graph, random);
    const expected = await run(onnxTarget, graph, feeds);
    const actual = await run(blocked!, graph, feeds);
    expect([...blockedOperators(graph)]).toEqual(expect.arrayContaining(['Conv', 'GlobalAveragePool']));
    for (const [output, { shape, data }] of Object.entries(expected)) {
      expect(actual[output]!.shape, output).toEqual(shape);
      // Derivatives of activations jump at their kinks: an element that rounds to the other side changes gradients.
      if (output.startsWith(GRADIENT))
        expect(relativeError(actual[output]!.data, data), output).toBeLessThan(0.05);
      else expect(actual[output]!.data, output).toBeAllclose(data, { relative: 1e-4, absolute: 1e-6 });
    }
  });

  const chains = [
    { fn: 'relu', kernel: 3, stride: 1, size: [8, 8], channels: [20, 40] },
    { fn: 'relu6', kernel: 5, stride: 1, size: [7, 9], channels: [16, 37] },
    { fn: 'h_swish', kernel: 7, stride: 1, size: [4, 4], channels: [24, 64] },
    { fn: 'h_swish', kernel: 3, stride: 2, size: [8, 8], channels: [40, 20] },
    { fn: 'relu', kernel: 5, stride: 2, size: [9, 6], channels: [18, 33] },
    { fn: 'h_swish', kernel: 7, stride: 2, size: [8, 10], channels: [16, 48] },
    { fn: 'relu', kernel: 7, stride: 2, size: [11, 7], channels: [8, 8] },
    { fn: 'relu', kernel: 5, stride: 1, size: [40, 33], channels: [3, 4] },
  ] as const;
  it.each(chains)(
    'computes an inverted residual block and its gradients, $fn, kernel $kernel, stride $stride, $size',
    async ({ fn, kernel, stride, size, channels: [narrow, wide] }) => {
      const b = new GraphBuilder();
      const x = b.input('x', [4, narrow, ...size]);
      const weights: Value[] = [];
      const weight = (...shape: number[]): Value => {
        const value = b.input(`w${weights.length}`, shape);
        weights.push(value);
        return value;
      };
      const norm = (v: Value): Value => batchNorm(b, v, weight(v.shape[1]!), weight(v.shape[1]!), 1e-5).y;
      const pointwise = (v: Value, to: number): Value =>
        conv2d(b, v, weight(to, v.shape[1]!, 1, 1), { stride: 1, padding: 0, groups: 1 });
      const inner = activation(b, norm(pointwise(x, wide)), fn);
      const attributes = { stride, padding: kernel >> 1, groups: wide };
      const depthwise = conv2d(b, inner, weight(wide, 1, kernel, kernel), attributes);
      const active = activation(b, norm(depthwise), fn);
      const gate = activation(b, matmul(b, globalAveragePool(b, active), weight(wide, wide)), 'h_sigmoid');
      let y = norm(pointwise(mul(b, active, asImage(b, gate)), narrow));
      if (stride === 1) y = add(b, y, x);
      const seed = b.input('seed', y.shape);
      b.output('y', y);
      differentiate(b, [{ value: y, gradient: seed }], [x, ...weights]).forEach((g, i) =>
        b.output(`d${i}`, g!),
      );
      const graph = b.build();
      const feeds = feedsOf(graph, createRandom('chain', fn, kernel, stride));
      const expected = evaluate(
        graph,
        new Map(Object.entries(feeds).map(([name, { data }]) => [name, data])),
      );
      const actual = await run(blocked!, graph, feeds);
      for (const [name, { data }] of expected)
        expect(actual[name]!.data, name).toBeAllclose(data, { relative: 2e-5, absolute: 2e-6 });
    },
  );

  it('keeps the digits of batch statistics where the mean is much larger than the deviation', async () => {
    const b = new GraphBuilder();
    const image = b.input('image', [4, 5, 6, 6]);
    const direct = b.input('direct', [4, 5, 6, 6]);
    const ones = b.constant('ones', [5], new Float32Array(5).fill(1));
    const zeros = b.constant('zeros', [5], new Float32Array(5));
    // A convolution whose results are near 1000 with deviations near 1, and an input like that.
    const x = conv2d(b, image, b.input('w', [5, 5, 1, 1]), { stride: 1, padding: 0, groups: 1 });
    for (const [name, value] of [
      ['convolved', x],
      ['direct', direct],
    ] as const) {
      const { y, variance } = batchNorm(b, value, ones, zeros, 1e-5);
      b.output(`${name}.y`, y);
      b.output(`${name}.variance`, variance);
    }
    const graph = b.build();
    const random = createRandom('mean and deviation');
    const feeds = feedsOf(graph, random);
    const shifted = (t: Tensor, by: number): Tensor =>
      tensor(
        t.shape,
        t.data.map((v) => v + by),
      );
    feeds['direct'] = shifted(feeds['direct']!, 1000);
    feeds['image'] = shifted(feeds['image']!, 300);
    const expected = evaluate(graph, new Map(Object.entries(feeds).map(([name, { data }]) => [name, data])));
    const actual = await run(blocked!, graph, feeds);
    for (const [name, { data }] of expected)
      expect(actual[name]!.data, name).toBeAllclose(data, { relative: 1e-3 });
  });

  it('leaves graphs with an open batch in plain operators', () => {
    const { blocks } = shippedSpace('mbv3-tiny').network(shippedSpace('mbv3-tiny').largest);
    const graph = forwardGraph(blocks, 2, 'calibration');
    expect(blocked!.lower(graph, { dynamicBatch: true })).toEqual(
      onnxTarget.lower(graph, { dynamicBatch: true }),
    );
  });
});

it('says why there is no blocked lowering where the runtime makes no blocked convolution', async () => {
  const runtime = await loadRuntime();
  // The same runtime with its optimiser switched off stands for one without blocked operators.
  const unoptimised = {
    ...runtime,
    InferenceSession: {
      create: (model: Uint8Array, options: object) =>
        runtime.InferenceSession.create(model, { ...options, graphOptimizationLevel: 'disabled' }),
    },
  } as unknown as Runtime;
  expect(await probeBlocked(unoptimised)).toEqual({ reason: 'its optimiser makes no blocked convolution' });
});
