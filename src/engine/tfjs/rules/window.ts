/** Windows of pools on images [N, H, W, C]. */
import { overhang, type PoolAttributes } from '../../../graph/operations/window.js';
import type { Shape } from '../../../util/tensor.js';
import type { Margin } from './margin.js';

/** What makes of an image of `shape` (the graph's) the one that the windows cover exactly. */
export const windowMargin = (attributes: PoolAttributes, shape: Shape): Margin => ({
  top: attributes.padding,
  left: attributes.padding,
  bottom: overhang(attributes, 0, shape[2]!),
  right: overhang(attributes, 1, shape[3]!),
});

/** Attributes of the kernels of pools' gradients. */
export const poolKernel = ({ kernel, stride }: PoolAttributes) => ({
  filterSize: [kernel, kernel],
  strides: [stride, stride],
  pad: 'valid',
});
