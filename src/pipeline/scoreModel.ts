/** Accuracy of an ONNX file as it is, on ONNX Runtime. */
import { availableParallelism } from 'node:os';
import type { Batch } from '../data/batchSource.js';
import { loadRuntime } from '../engine/onnxruntime/runtime.js';
import { countCorrect } from '../training/score.js';

export interface ModelScore {
  /** Fraction. */
  readonly top1: number;
  readonly count: number;
  /** The class of the greatest logit of every image, in order. */
  readonly answers: readonly number[];
  /** Whether each image was put into its own class. */
  readonly hits: readonly boolean[];
}

/** The model's batch must be open, or that of the batches. Throws RangeError where there are no images. */
export async function scoreModel(
  bytes: Uint8Array,
  batches: AsyncIterable<Batch>,
  threads = availableParallelism(),
): Promise<ModelScore> {
  const runtime = await loadRuntime();
  const session = await runtime.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  const answers: number[] = [];
  const hits: boolean[] = [];
  let correct = 0;
  try {
    for await (const { images, labels } of batches) {
      const { logits } = await session.run({
        input: new runtime.Tensor('float32', images.data, images.shape),
      });
      const shape = logits!.dims;
      const data = logits!.data as Float32Array;
      correct += countCorrect({ shape, data }, labels).top1;
      const classes = shape[1]!;
      labels.forEach((label, row) => {
        const own = data.subarray(row * classes, (row + 1) * classes);
        const answer = own.indexOf(own.reduce((top, v) => Math.max(top, v)));
        answers.push(answer);
        hits.push(answer === label);
      });
    }
  } finally {
    await session.release();
  }
  if (answers.length === 0) throw new RangeError('Cannot score a model: at least one image is needed');
  return { top1: correct / answers.length, count: answers.length, answers, hits };
}
