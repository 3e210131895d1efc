/** What kind of image a file is, told by its first bytes: names of files are often wrong, and some have no extension. */

export interface ImageForm {
  /** As messages call it, e.g. `JPEG`. */
  readonly name: string;
  /** Whether its pixels can be read. */
  readonly readable: boolean;
}

/** Bytes that `imageFormOf` looks at. */
export const HEAD_BYTES = 512;

/** Extensions of the forms that are read; with or without one of them a file is read if its content is such a form. */
export const READABLE_EXTENSIONS: ReadonlySet<string> = new Set([
  ...['.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.tif', '.tiff', '.gif', '.avif', '.bmp', '.dib'],
]);

/** For messages and help. */
export const READABLE_FORMS = 'JPEG, PNG, WebP, TIFF, GIF, AVIF or BMP';

/** Forms of cameras that are TIFF by their first bytes, though what TIFF readers find in them is a thumbnail. */
const RAW_EXTENSIONS: ReadonlySet<string> = new Set([
  ...['.dng', '.nef', '.nrw', '.arw', '.sr2', '.pef', '.cr2', '.orf', '.rw2', '.3fr', '.srw', '.kdc', '.dcr'],
]);

const readable = (name: string): ImageForm => ({ name, readable: true });
const unreadable = (name: string): ImageForm => ({ name, readable: false });

/** First bytes in hexadecimal, `..` for any byte. */
const SIGNATURES: readonly (readonly [string, ImageForm])[] = [
  ['ffd8ff', readable('JPEG')],
  ['89504e470d0a1a0a', readable('PNG')],
  ['52494646........57454250', readable('WebP')],
  ['474946383761', readable('GIF')],
  ['474946383961', readable('GIF')],
  ['49492a00', readable('TIFF')],
  ['4d4d002a', readable('TIFF')],
  ['49492b00', readable('TIFF')],
  ['4d4d002b', readable('TIFF')],
  ['00000100', unreadable('ICO')],
  ['255044462d', unreadable('PDF')],
  ['38425053', unreadable('Photoshop')],
  ['ff0a', unreadable('JPEG XL')],
  ['0000000c4a584c20', unreadable('JPEG XL')],
  ['0000000c6a502020', unreadable('JPEG 2000')],
  ['ff4fff51', unreadable('JPEG 2000')],
  ['762f3101', unreadable('OpenEXR')],
  ['49492a00........4352', unreadable('camera raw')],
].map(([hex, form]) => [hex, form] as [string, ImageForm]);

const matches = (head: Uint8Array, hex: string): boolean => {
  for (let i = 0; i < hex.length / 2; i++) {
    const byte = hex.slice(2 * i, 2 * i + 2);
    if (byte !== '..' && head[i] !== Number.parseInt(byte, 16)) return false;
  }
  return true;
};

/** ISO base media files name themselves and their relatives: AVIF and HEIC share one container. */
function isoBrand(head: Uint8Array, text: string): ImageForm | undefined {
  if (text.slice(4, 8) !== 'ftyp') return undefined;
  const end = Math.min(new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(0), text.length);
  const brands = [text.slice(8, 12)];
  for (let i = 16; i + 4 <= end; i += 4) brands.push(text.slice(i, i + 4));
  if (brands.some((brand) => brand === 'avif' || brand === 'avis')) return readable('AVIF');
  if (brands.some((brand) => /^(hei[cmsx]|hev[cmsx]|mif1|msf1)$/.test(brand))) return unreadable('HEIC');
  return undefined;
}

/** `BM`, and a header of a size that exists: two letters alone may begin any text. */
function isBmp(head: Uint8Array): boolean {
  if (head[0] !== 0x42 || head[1] !== 0x4d || head.length < 26) return false;
  const headerBytes = new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(14, true);
  return [12, 16, 40, 52, 56, 64, 108, 124].includes(headerBytes);
}

/** Text that begins as XML does and soon says `<svg`. */
function isSvg(text: string): boolean {
  const start = text.replace('\xef\xbb\xbf', '').trimStart().slice(0, 9).toLowerCase();
  const isXml = ['<svg', '<?xml', '<!--', '<!doctype'].some((word) => start.startsWith(word));
  return isXml && /<svg[\s/>]/i.test(text);
}

/** The form of a file by its first bytes (`HEAD_BYTES`, fewer where it is shorter); undefined where it is no known image. */
export function imageFormOf(head: Uint8Array, extension = ''): ImageForm | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, HEAD_BYTES)).toString(
    'latin1',
  );
  if (isBmp(head)) return readable('BMP');
  const iso = head.length < 12 ? undefined : isoBrand(head, text);
  if (iso !== undefined) return iso;
  // The longest signature is the most telling: a camera's raw file begins as TIFF does.
  const form = SIGNATURES.filter(([hex]) => matches(head, hex)).sort(
    (a, b) => b[0].length - a[0].length,
  )[0]?.[1];
  if (form?.name === 'TIFF' && RAW_EXTENSIONS.has(extension.toLowerCase())) return unreadable('camera raw');
  if (form !== undefined) return form;
  if (isSvg(text)) return unreadable('SVG');
  if (/^P[1-7]\s/.test(text)) return unreadable('PNM');
  return undefined;
}
