import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { cutOutputs } from '../../src/device/cutOutput.js';
import { randomBlockModel, randomNetworkModel } from '../../src/latency/models.js';
import { onnx } from '../../src/lowering/onnxProto.js';
import { loadSpace } from '../../src/space/presets.js';

const space = await loadSpace('mbv3-tiny');

async function run(model: Uint8Array, shape: readonly number[]): Promise<ort.Tensor> {
  const session = await ort.InferenceSession.create(model);
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
  const outputs = await session.run({ [session.inputNames[0]!]: new ort.Tensor(data, shape) });
  await session.release();
  return outputs[session.outputNames[0]!]!;
}

describe('cutOutputs', () => {
  it('leaves the first number of what the model computes', async () => {
    const whole = randomNetworkModel(space, space.largest, 2);
    const shape = [2, 1, 28, 28];
    const logits = await run(whole, shape);
    const first = await run(cutOutputs(whole), shape);
    expect(logits.dims).toEqual([2, 10]);
    expect(first.dims).toEqual([1, 1]);
    expect(first.data[0]).toBe(logits.data[0]);
  });

  it('refuses outputs of unknown shape', () => {
    const model = onnx.ModelProto.encode({
      graph: { output: [{ name: 'y', type: { tensorType: { shape: { dim: [{ dimParam: 'N' }] } } } }] },
    });
    expect(() => cutOutputs(model.finish())).toThrow('Cannot cut output "y": it must have a static shape');
  });
});

describe('models with random weights', () => {
  it('run for every block of the largest subnet, giving one finite number', async () => {
    for (const block of space.network(space.largest).blocks) {
      const { channels, height, width } = block.input;
      const y = await run(randomBlockModel(block, 1), [1, channels, height, width]);
      expect(y.size).toBe(1);
      expect(Number.isFinite(y.data[0])).toBe(true);
    }
  });

  it('hold kernels at their active size: nothing is computed that an exported model does not', () => {
    const graph = onnx.ModelProto.decode(randomNetworkModel(space, space.smallest, 1)).graph!;
    const operators = new Set(graph.node!.map(({ opType }) => opType));
    expect(operators.has('BatchNormalization')).toBe(false);
    const kernels = graph
      .initializer!.map(({ dims }) => dims!.map(Number))
      .filter((dims) => dims.length === 4);
    expect(Math.max(...kernels.map((dims) => dims[3]!))).toBe(3);
  });
});
