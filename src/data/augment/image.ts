/** Images as arrays: channels first, row-major, values 0..255 until they are normalised. */

export interface Size {
  readonly height: number;
  readonly width: number;
}

export type Pixels = Uint8Array | Float32Array;

/** `data`: [C, H, W]. Decoded images are uint8; every augmentation gives float32, still in 0..255. */
export interface Image<P extends Pixels = Pixels> extends Size {
  readonly channels: number;
  readonly data: P;
}

/** A rectangle inside an image, in whole pixels. */
export interface Box extends Size {
  readonly top: number;
  readonly left: number;
}

export function wholeBox(image: Image): Box {
  return { top: 0, left: 0, height: image.height, width: image.width };
}

/** [H, W, C] bytes, as decoders give them, to [C, H, W]. */
export function fromInterleaved(bytes: Uint8Array, channels: number, size: Size): Image<Uint8Array> {
  const area = size.height * size.width;
  const data = new Uint8Array(channels * area);
  for (let c = 0; c < channels; c++) {
    const plane = c * area;
    for (let i = 0, j = c; i < area; i++, j += channels) data[plane + i] = bytes[j]!;
  }
  return { channels, height: size.height, width: size.width, data };
}

/**
 * Writes `(pixel / 255 - mean) / std` per channel to `out` from `offset` on.
 * `mean`, `std`: per channel, in units of [0, 1].
 */
export function normaliseInto(
  image: Image,
  normalisation: { readonly mean: readonly number[]; readonly std: readonly number[] },
  out: Float32Array,
  offset: number,
): void {
  const area = image.height * image.width;
  const data = image.data;
  for (let c = 0; c < image.channels; c++) {
    const scale = 1 / (255 * normalisation.std[c]!);
    const shift = -normalisation.mean[c]! / normalisation.std[c]!;
    for (let i = c * area, end = i + area, o = offset + i; i < end; i++, o++)
      out[o] = data[i]! * scale + shift;
  }
}
