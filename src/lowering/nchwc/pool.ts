/** Means and sums over positions of blocked tensors. */
import { channelSumOperation } from '../../graph/operations/conv.js';
import { globalAverageImageOperation, globalAveragePoolOperation } from '../../graph/operations/pool.js';
import { imageMeans, sumOfImages } from './reductions.js';
import { blockedRule, type BlockedCall } from './rule.js';

function globalAverage({ w, inputs, outputs }: BlockedCall<unknown>): boolean {
  const x = inputs[0]!;
  if (!w.isBlocked(x)) return false;
  const [n, c] = x.shape as [number, number];
  const image = w.cut(imageMeans(w, w.blocked(x)).name, 1, w.padded(c), c);
  w.reshape(image, outputs[0]!.shape.length === 4 ? [n, c, 1, 1] : [n, c], w.plainOutput(outputs[0]!));
  return true;
}
export const globalAveragePoolRule = blockedRule(globalAveragePoolOperation, globalAverage);
export const globalAverageImageRule = blockedRule(globalAverageImageOperation, globalAverage);

export const channelSumRule = blockedRule(channelSumOperation, ({ w, inputs, outputs }) => {
  const x = inputs[0]!;
  if (!w.isBlocked(x)) return false;
  const [, c, h, width] = x.shape as [number, number, number, number];
  const sum = sumOfImages(w, imageMeans(w, w.blocked(x)), x.shape, h * width);
  w.cut(sum, 0, w.padded(c), c, w.plainOutput(outputs[0]!));
  return true;
});
