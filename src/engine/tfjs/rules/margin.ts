/**
 * Zeros and such around images [N, H, W, C]. Windows are laid over images with their padding made real, because not all
 * of TensorFlow's kernels take a padding of their own: those of gradients and pools know none but "same" and "valid".
 */
import type { TensorFlow, TfImage } from '../tensorflow.js';

export interface Margin {
  readonly top: number;
  readonly left: number;
  /** Negative: rows (columns) that are left out. */
  readonly bottom: number;
  readonly right: number;
}

/** The image with its margin, filled with `fill`. */
export function addMargin(
  tf: TensorFlow,
  image: TfImage,
  { top, left, bottom, right }: Margin,
  fill = 0,
): TfImage {
  const [n, height, width, c] = image.shape;
  const inner =
    bottom < 0 || right < 0
      ? tf.slice(image, [0, 0, 0, 0], [n, height + Math.min(bottom, 0), width + Math.min(right, 0), c])
      : image;
  if (top === 0 && left === 0 && bottom <= 0 && right <= 0) return inner;
  return tf.pad(
    inner,
    [
      [0, 0],
      [top, Math.max(bottom, 0)],
      [left, Math.max(right, 0)],
      [0, 0],
    ],
    fill,
  );
}

/** Undoes `addMargin`, zeros where rows and columns were left out: its gradient. */
export function removeMargin(tf: TensorFlow, image: TfImage, { top, left, bottom, right }: Margin): TfImage {
  const [n, height, width, c] = image.shape;
  const size = [n, height - top - Math.max(bottom, 0), width - left - Math.max(right, 0), c] as const;
  const inner =
    size[1] === height && size[2] === width ? image : tf.slice(image, [0, top, left, 0], [...size]);
  if (bottom >= 0 && right >= 0) return inner;
  return tf.pad(inner, [
    [0, 0],
    [0, Math.max(-bottom, 0)],
    [0, Math.max(-right, 0)],
    [0, 0],
  ]);
}
