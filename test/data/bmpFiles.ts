/** Windows bitmaps written from their definition, as no encoder at hand writes all kinds. */

export interface BmpKind {
  readonly width: number;
  readonly height: number;
  readonly bits: 1 | 4 | 8 | 16 | 24 | 32;
  /** Row by row from the top: palette indices, or values as they are stored. */
  readonly pixels: readonly number[];
  /** [red, green, blue] of every index. */
  readonly palette?: readonly (readonly [number, number, number])[];
  readonly topDown?: boolean;
  /** Red, green, blue and perhaps alpha; written into a header of 56 bytes with alpha, else after one of 40. */
  readonly masks?: readonly number[];
  /** 12: the oldest, with palette entries of three bytes. */
  readonly header?: 12 | 40;
  /** Bytes between the palette and the pixels. */
  readonly gap?: number;
}

export function bmpBytes({ width, height, bits, pixels, masks, gap = 0, ...rest }: BmpKind): Buffer {
  const old = rest.header === 12;
  const headerBytes = old ? 12 : masks?.length === 4 ? 56 : 40;
  const maskBytes = masks?.length === 3 ? 12 : 0;
  const palette =
    rest.palette ??
    (bits <= 8 ? Array.from({ length: 2 ** bits }, (_, i) => [i, i, i] as [number, number, number]) : []);
  const entryBytes = old ? 3 : 4;
  const paletteAt = 14 + headerBytes + maskBytes;
  const pixelsAt = paletteAt + palette.length * entryBytes + gap;
  const rowBytes = 4 * Math.ceil((width * bits) / 32);
  const bytes = Buffer.alloc(pixelsAt + rowBytes * height);
  bytes.write('BM', 0, 'latin1');
  bytes.writeUInt32LE(bytes.length, 2);
  bytes.writeUInt32LE(pixelsAt, 10);
  bytes.writeUInt32LE(headerBytes, 14);
  if (old) {
    bytes.writeUInt16LE(width, 18);
    bytes.writeUInt16LE(height, 20);
    bytes.writeUInt16LE(1, 22);
    bytes.writeUInt16LE(bits, 24);
  } else {
    bytes.writeInt32LE(width, 18);
    bytes.writeInt32LE(rest.topDown === true ? -height : height, 22);
    bytes.writeUInt16LE(1, 26);
    bytes.writeUInt16LE(bits, 28);
    bytes.writeUInt32LE(masks === undefined ? 0 : 3, 30);
    bytes.writeUInt32LE(rest.palette?.length ?? 0, 46);
    masks?.forEach((mask, i) => bytes.writeUInt32LE(mask, 54 + 4 * i));
  }
  palette.forEach(([red, green, blue], i) => bytes.set([blue, green, red], paletteAt + i * entryBytes));
  pixels.forEach((value, i) => {
    const y = Math.floor(i / width);
    const row = pixelsAt + rowBytes * (rest.topDown === true ? y : height - 1 - y);
    const bit = (i % width) * bits;
    const at = row + (bit >> 3);
    if (bits < 8) bytes[at]! |= value << (8 - bits - (bit & 7));
    else bytes.writeUIntLE(value, at, bits / 8);
  });
  return bytes;
}
