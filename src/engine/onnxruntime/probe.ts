/** Finds out whether ONNX Runtime has blocked convolutions on this machine, and how many channels are in a block. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluate } from '../../graph/evaluate.js';
import { GraphBuilder, type Graph } from '../../graph/graph.js';
import { conv2d } from '../../graph/operations/conv.js';
import { onnxTarget } from '../../lowering/onnx.js';
import { onnx } from '../../lowering/onnxProto.js';
import { BLOCKED_DOMAIN } from '../../lowering/nchwc/operators.js';
import { createNchwcTarget } from '../../lowering/nchwc/target.js';
import type { LoweringTarget } from '../../lowering/target.js';
import { sizeOf, type Shape } from '../../util/tensor.js';
import type { Runtime } from './runtime.js';

/** Numbers without a pattern that a wrong layout could keep. */
const sample = (shape: Shape): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(1 + i * i));

/** A target for the blocked operators of this machine, checked, or the reason why there is none. */
export async function probeBlocked(
  runtime: Runtime,
): Promise<{ readonly target: LoweringTarget } | { readonly reason: string }> {
  try {
    const blockSize = await blockSizeOf(runtime);
    if (blockSize === undefined) return { reason: 'its optimiser makes no blocked convolution' };
    const target = createNchwcTarget(blockSize);
    const error = await largestError(runtime, target);
    return error < 1e-4 ? { target } : { reason: `blocked convolutions are wrong by ${error}` };
  } catch (error) {
    return { reason: (error as Error).message.split('\n')[0]! };
  }
}

/** Channels in a block: the padded output channels of the weights in an optimised model of one convolution. */
async function blockSizeOf(runtime: Runtime): Promise<number | undefined> {
  const b = new GraphBuilder();
  const weightShape = [1, 3, 3, 3];
  const weight = b.constant('weight', weightShape, sample(weightShape));
  b.output('y', conv2d(b, b.input('x', [1, 3, 8, 8]), weight, { stride: 1, padding: 1, groups: 1 }));
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-probe-'));
  try {
    const optimizedModelFilePath = join(folder, 'optimised.onnx');
    const session = await runtime.InferenceSession.create(onnxTarget.lower(b.build()), {
      graphOptimizationLevel: 'all',
      optimizedModelFilePath,
      logSeverityLevel: 4,
    });
    await session.release();
    const { graph } = onnx.ModelProto.decode(await readFile(optimizedModelFilePath));
    const conv = graph?.node?.find(({ opType, domain }) => opType === 'Conv' && domain === BLOCKED_DOMAIN);
    const filter = graph?.initializer?.find(({ name }) => name === conv?.input?.[1]);
    return filter === undefined ? undefined : Number(filter.dims![0]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Largest difference between blocked convolutions with weights as inputs and their definition. */
async function largestError(runtime: Runtime, target: LoweringTarget): Promise<number> {
  const graph = probeGraph();
  const inputs = new Map([...graph.inputs].map(([name, { shape }]) => [name, sample(shape)]));
  const session = await runtime.InferenceSession.create(target.lower(graph), { logSeverityLevel: 4 });
  try {
    const feeds = Object.fromEntries(
      [...graph.inputs].map(([name, { shape }]) => [
        name,
        new runtime.Tensor('float32', inputs.get(name)!, shape),
      ]),
    );
    const results = await session.run(feeds);
    let worst = 0;
    for (const [name, { data }] of evaluate(graph, inputs)) {
      const actual = results[name]!.data as Float32Array;
      data.forEach((v, i) => (worst = Math.max(worst, Math.abs(v - actual[i]!) || 0)));
      if (!actual.every(Number.isFinite)) return Infinity;
    }
    return worst;
  } finally {
    await session.release();
  }
}

/** A dense convolution on a plain image, a pointwise one and a depthwise one on blocked images. */
function probeGraph(): Graph {
  const b = new GraphBuilder();
  const same = (k: number, groups: number) => ({ stride: 1, padding: k >> 1, groups });
  let y = conv2d(b, b.input('x', [2, 3, 5, 5]), b.input('w0', [20, 3, 3, 3]), same(3, 1));
  y = conv2d(b, y, b.input('w1', [24, 20, 1, 1]), same(1, 1));
  b.output('y', conv2d(b, y, b.input('w2', [24, 1, 3, 3]), same(3, 24)));
  return b.build();
}
