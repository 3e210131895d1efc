/** Histograms of a network's intermediate tensors over images: the network runs with those as outputs. */
import { loadRuntime } from '../../engine/onnxruntime/runtime.js';
import { onnx } from '../../lowering/onnxProto.js';
import { decodeModel } from '../../lowering/readOnnx.js';
import type { Tensor } from '../../util/tensor.js';
import { count, emptyHistogram, type Histogram } from './ranges.js';

/** Images of the model's batch, the same ones at every call. */
export type CalibrationImages = () => Iterable<Tensor> | AsyncIterable<Tensor>;

/** The model with other outputs. */
function withOutputs(bytes: Uint8Array, names: readonly string[]): Uint8Array {
  const model = decodeModel(bytes);
  const elemType = onnx.TensorProto.DataType.FLOAT;
  model.graph!.output = names.map((name) => ({ name, type: { tensorType: { elemType } } }));
  return onnx.ModelProto.encode(model).finish();
}

/**
 * Histograms of the tensors `names` of a float model with input `input`. Two passes: the first finds the ends. Throws
 * RangeError where there are no images, and naming a tensor that is not finite.
 */
export async function calibrate(
  bytes: Uint8Array,
  names: readonly string[],
  images: CalibrationImages,
): Promise<Map<string, Histogram>> {
  const made = names.filter((name) => name !== 'input');
  const runtime = await loadRuntime();
  const session = await runtime.InferenceSession.create(withOutputs(bytes, made), {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  const pass = async (see: (name: string, values: Float32Array) => void): Promise<void> => {
    for await (const { shape, data } of images()) {
      const results = await session.run({ input: new runtime.Tensor('float32', data, shape) });
      for (const name of names) see(name, name === 'input' ? data : (results[name]!.data as Float32Array));
    }
  };
  try {
    const ends = new Map<string, { min: number; max: number }>();
    await pass((name, values) => {
      const end = ends.get(name) ?? { min: Infinity, max: -Infinity };
      ends.set(name, end);
      for (const value of values) {
        if (!Number.isFinite(value))
          throw new RangeError(`Cannot quantise: tensor "${name}" must be finite: it has a ${value}`);
        if (value < end.min) end.min = value;
        if (value > end.max) end.max = value;
      }
    });
    if (ends.size < names.length) throw new RangeError('Cannot quantise: at least one image is needed');
    const histograms = new Map([...ends].map(([name, range]) => [name, emptyHistogram(range)]));
    await pass((name, values) => count(histograms.get(name)!, values));
    return histograms;
  } finally {
    await session.release();
  }
}
