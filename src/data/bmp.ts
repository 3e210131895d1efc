/**
 * Windows bitmaps, which sharp's build of libvips does not read. Own code, as no package does it well: fast-bmp 4.0.1 takes
 * palette indices for grey values, bmp-ts 1.0.9 ignores where pixels begin and fills memory with palettes that a header
 * only announces. Uncompressed ones of 1, 4, 8, 16, 24 and 32 bits, bottom-up and top-down, with masks; not run-length ones.
 */

export interface Bitmap {
  readonly width: number;
  readonly height: number;
  /** 3: RGB, 4: RGBA. */
  readonly channels: 3 | 4;
  /** [H, W, C]. */
  readonly data: Uint8Array;
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly topDown: boolean;
  readonly bits: number;
  readonly compression: number;
  readonly headerBytes: number;
  readonly paletteEntryBytes: 3 | 4;
  readonly paletteEntries: number;
  readonly pixelsAt: number;
}

const FILE_HEADER = 14;
/** The oldest has 16-bit sizes; from 40 bytes on there is a compression; OS/2's numbers compressions in its own way. */
const OLD_HEADER = 12;
const FULL_HEADER = 40;
const OS2_HEADER = 64;
const Compression = { none: 0, masks: 3, masksWithAlpha: 6 } as const;
const COMPRESSION_NAMES: Readonly<Record<number, string>> = {
  1: 'run lengths',
  2: 'run lengths',
  4: 'JPEG inside',
  5: 'PNG inside',
};

/** Width and height that a bitmap announces. Throws RangeError where the header is cut short. */
export function bmpSize(bytes: Uint8Array): { readonly width: number; readonly height: number } {
  const { width, height } = readHeader(bytes);
  return { width, height };
}

function readHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerBytes = view.getUint32(FILE_HEADER, true);
  if (bytes.length < FILE_HEADER + headerBytes) throw new RangeError('the file is truncated');
  const old = headerBytes === OLD_HEADER;
  const full = headerBytes >= FULL_HEADER;
  const height = old ? view.getUint16(20, true) : view.getInt32(22, true);
  const bits = old ? view.getUint16(24, true) : view.getUint16(28, true);
  const announced = full ? view.getUint32(46, true) : 0;
  const most = bits <= 8 ? 2 ** bits : 0;
  return {
    width: old ? view.getUint16(18, true) : view.getInt32(18, true),
    height: Math.abs(height),
    topDown: height < 0,
    bits,
    compression: full ? view.getUint32(30, true) : Compression.none,
    headerBytes,
    paletteEntryBytes: old ? 3 : 4,
    paletteEntries: announced === 0 ? most : Math.min(announced, most),
    pixelsAt: view.getUint32(10, true),
  };
}

/** One channel of pixels with masks: position, and the factor that makes its greatest value 255. */
interface Field {
  readonly shift: number;
  readonly mask: number;
}

const fieldOf = (mask: number): Field => {
  const shift = mask === 0 ? 0 : 31 - Math.clz32(mask & -mask);
  return { shift, mask: mask >>> shift };
};

const fieldValue = (pixel: number, { shift, mask }: Field): number =>
  mask === 0 ? 0 : Math.round((((pixel >>> shift) & mask) >>> 0) * (255 / mask));

function readFields(view: DataView, header: Header): readonly Field[] {
  const { bits, compression, headerBytes } = header;
  if (compression === Compression.none) {
    const masks = bits === 16 ? [0x7c00, 0x3e0, 0x1f] : [0xff0000, 0xff00, 0xff];
    return masks.map(fieldOf);
  }
  // After a header of 40 bytes, or inside a longer one: the same place.
  const masks = [0, 4, 8].map((i) => view.getUint32(FILE_HEADER + 40 + i, true));
  const hasAlpha = headerBytes >= 56 || compression === Compression.masksWithAlpha;
  const alpha = hasAlpha ? view.getUint32(FILE_HEADER + 52, true) : 0;
  return (alpha === 0 ? masks : [...masks, alpha]).map(fieldOf);
}

/** [entries, 3] as RGB. */
function readPalette(
  bytes: Uint8Array,
  { headerBytes, paletteEntries, paletteEntryBytes }: Header,
): Uint8Array {
  const palette = new Uint8Array(3 * 256);
  const from = FILE_HEADER + headerBytes;
  if (from + paletteEntries * paletteEntryBytes > bytes.length) throw new RangeError('the file is truncated');
  for (let i = 0; i < paletteEntries; i++) {
    for (let c = 0; c < 3; c++) palette[3 * i + c] = bytes[from + i * paletteEntryBytes + 2 - c]!;
  }
  return palette;
}

/** Pixels of a whole bitmap; check `bmpSize` first. Throws RangeError saying what is wrong with it. */
export function decodeBmp(bytes: Uint8Array): Bitmap {
  const header = readHeader(bytes);
  const { width, height, bits, compression, pixelsAt, topDown } = header;
  if (width < 1 || height < 1) throw new RangeError(`a bitmap of ${width}x${height} pixels has no image`);
  const masked =
    header.headerBytes !== OS2_HEADER &&
    (compression === Compression.masks || compression === Compression.masksWithAlpha);
  if (masked ? bits !== 16 && bits !== 32 : compression !== Compression.none) {
    const name = COMPRESSION_NAMES[compression] ?? `compression ${compression}`;
    throw new RangeError(`only BMP without compression is read: it has ${name} at ${bits} bits`);
  }
  if (![1, 4, 8, 16, 24, 32].includes(bits)) throw new RangeError(`BMP of ${bits} bits a pixel is not read`);
  const rowBytes = 4 * Math.ceil((width * bits) / 32);
  // Some writers leave out the padding of the last row.
  if (pixelsAt + rowBytes * (height - 1) + Math.ceil((width * bits) / 8) > bytes.length) {
    throw new RangeError('the file is truncated');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const palette = bits <= 8 ? readPalette(bytes, header) : undefined;
  const fields = bits === 16 || bits === 32 ? readFields(view, header) : [];
  const channels = fields.length === 4 ? 4 : 3;
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const row = pixelsAt + rowBytes * (topDown ? y : height - 1 - y);
    for (let x = 0, out = y * width * channels; x < width; x++, out += channels) {
      if (palette !== undefined) {
        const bit = x * bits;
        const index = (bytes[row + (bit >> 3)]! >> (8 - bits - (bit & 7))) & (2 ** bits - 1);
        for (let c = 0; c < 3; c++) data[out + c] = palette[3 * index + c]!;
      } else if (bits === 24) {
        for (let c = 0; c < 3; c++) data[out + c] = bytes[row + 3 * x + 2 - c]!;
      } else {
        const pixel = bits === 16 ? view.getUint16(row + 2 * x, true) : view.getUint32(row + 4 * x, true);
        for (let c = 0; c < channels; c++) data[out + c] = fieldValue(pixel, fields[c]!);
      }
    }
  }
  return { width, height, channels, data };
}
