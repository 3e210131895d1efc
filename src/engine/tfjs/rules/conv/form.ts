/** What ways to convolve have in common. */
import type { Shape4, TensorFlow, TfImage } from '../../tensorflow.js';

/**
 * A convolution without padding and its gradients. x: [N, H, W, C], w: [O, C / groups, k, k] as in graphs,
 * y: [N, H', W', O]. Shapes in these orders.
 */
export interface ConvForm {
  forward(tf: TensorFlow, x: TfImage, w: TfImage, stride: number): TfImage;
  inputGradient(tf: TensorFlow, dy: TfImage, w: TfImage, stride: number, inputShape: Shape4): TfImage;
  weightGradient(tf: TensorFlow, x: TfImage, dy: TfImage, stride: number, weightShape: Shape4): TfImage;
}
