/** What a step's logits are compared with: rows of weights over the classes. */
import { tensor, type Tensor } from '../util/tensor.js';

/** (1 - smoothing) on the label, smoothing / classes everywhere. [N, classes]. Throws RangeError for a label outside. */
export function labelTargets(labels: Int32Array, classes: number, smoothing: number): Tensor {
  const targets = tensor([labels.length, classes]);
  targets.data.fill(smoothing / classes);
  labels.forEach((label, i) => {
    if (label < 0 || label >= classes) {
      throw new RangeError(`Cannot make targets: labels must be below ${classes}: current value is ${label}`);
    }
    targets.data[i * classes + label]! += 1 - smoothing;
  });
  return targets;
}

/** Softmax of each row. [N, classes]. */
export function softLabels({ shape, data }: Tensor): Tensor {
  const classes = shape[1]!;
  const result = tensor(shape);
  for (let row = 0; row < data.length; row += classes) {
    let top = -Infinity;
    for (let i = 0; i < classes; i++) top = Math.max(top, data[row + i]!);
    let sum = 0;
    for (let i = 0; i < classes; i++) sum += Math.exp(data[row + i]! - top);
    for (let i = 0; i < classes; i++) result.data[row + i] = Math.exp(data[row + i]! - top) / sum;
  }
  return result;
}

/** a * x + b * y: cross entropy is linear in its targets, so a weighted sum of losses is the loss of the sum. */
export function mixTargets(a: number, x: Tensor, b: number, y: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v, i) => a * v + b * y.data[i]!),
  );
}
