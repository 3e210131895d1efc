/**
 * Bilinear resizing with antialiasing, as Pillow and torchvision (`antialias=True`) define it: a triangle filter whose
 * support grows with the shrinking factor, weights cut at the border of the box and normalised
 * (Pillow, src/libImaging/Resample.c, precompute_coeffs), but in floating point throughout.
 */
import { wholeBox, type Box, type Image, type Size } from './image.js';

interface Taps {
  /** First source position and number of taps of every output position. */
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** [outputs, stride], each row summing to 1. */
  readonly weights: Float32Array;
  readonly stride: number;
}

/** Filter taps for outputs `first .. first + count - 1` of an axis resized from `from` to `to` positions. */
function filterTaps(from: number, to: number, first: number, count: number): Taps {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const stride = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(count);
  const counts = new Int32Array(count);
  const weights = new Float32Array(count * stride);
  for (let o = 0; o < count; o++) {
    const centre = (first + o + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(from, Math.floor(centre + support + 0.5));
    let sum = 0;
    for (let i = start; i < end; i++) {
      const weight = Math.max(0, 1 - Math.abs(i + 0.5 - centre) / support);
      weights[o * stride + i - start] = weight;
      sum += weight;
    }
    for (let k = 0; k < end - start; k++) weights[o * stride + k]! /= sum;
    starts[o] = start;
    counts[o] = end - start;
  }
  return { starts, counts, weights, stride };
}

/**
 * Resizes `box` of an image to `size` and returns the part `window` of the result (default: all of it); what lies
 * outside the window is never computed. Result: float32 [C, window.height, window.width].
 */
export function resize(
  image: Image,
  size: Size,
  box: Box = wholeBox(image),
  window: Box = { top: 0, left: 0, ...size },
): Image<Float32Array> {
  const { channels } = image;
  const columns = filterTaps(box.width, size.width, window.left, window.width);
  const rows = filterTaps(box.height, size.height, window.top, window.height);
  const firstRow = rows.starts[0]!;
  const lastRow = rows.starts[window.height - 1]! + rows.counts[window.height - 1]!;
  // Rows first along x, for the source rows that the second pass reads; then along y.
  const squeezed = new Float32Array((lastRow - firstRow) * window.width);
  const data = new Float32Array(channels * window.height * window.width);
  for (let c = 0; c < channels; c++) {
    const plane = c * image.height * image.width;
    for (let y = firstRow; y < lastRow; y++) {
      const source = plane + (box.top + y) * image.width + box.left;
      resizeRow(image.data, source, columns, squeezed, (y - firstRow) * window.width, window.width);
    }
    resizeColumns(squeezed, firstRow, rows, data, c * window.height * window.width, window);
  }
  return { channels, height: window.height, width: window.width, data };
}

function resizeRow(
  data: Image['data'],
  source: number,
  taps: Taps,
  out: Float32Array,
  offset: number,
  width: number,
): void {
  const { starts, counts, weights, stride } = taps;
  for (let x = 0; x < width; x++) {
    let sum = 0;
    const from = source + starts[x]!;
    const w = x * stride;
    for (let k = 0, n = counts[x]!; k < n; k++) sum += data[from + k]! * weights[w + k]!;
    out[offset + x] = sum;
  }
}

function resizeColumns(
  squeezed: Float32Array,
  firstRow: number,
  taps: Taps,
  out: Float32Array,
  offset: number,
  { width, height }: Size,
): void {
  for (let y = 0; y < height; y++) {
    const target = offset + y * width;
    for (let k = 0, n = taps.counts[y]!; k < n; k++) {
      const weight = taps.weights[y * taps.stride + k]!;
      const row = (taps.starts[y]! - firstRow + k) * width;
      for (let x = 0; x < width; x++) out[target + x]! += squeezed[row + x]! * weight;
    }
  }
}
