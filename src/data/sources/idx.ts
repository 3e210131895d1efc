/** IDX, the format of MNIST's files: big-endian; 0, 0, type, rank, one uint32 a dimension, then the values row-major. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { UserError } from '../../util/errors.js';
import { readBytes } from '../../util/files.js';

export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

const UNSIGNED_BYTE = 0x08;
/** No file of the MNIST family is near it; a damaged or hostile archive must not fill the memory. */
const MAX_BYTES = 1 << 30;

const bad = (where: string, wanted: string, current: string): UserError =>
  new UserError(`Cannot read ${where}: ${wanted}: ${current}`);

/** Bytes of a file to an array of uint8; `where` names the file in messages. Throws UserError. */
export function parseIdx(bytes: Uint8Array, where: string, rank: number): IdxArray {
  const headerBytes = 4 + 4 * rank;
  if (bytes.length < headerBytes) {
    throw bad(where, `an IDX header of ${headerBytes} bytes is wanted`, `the file has ${bytes.length} bytes`);
  }
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== UNSIGNED_BYTE || bytes[3] !== rank) {
    const magic = Buffer.from(bytes.subarray(0, 4)).toString('hex');
    throw bad(where, `IDX magic number 0000080${rank} is wanted`, `it starts with ${magic}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((product, n) => product * n, 1);
  if (size !== bytes.length - headerBytes) {
    throw bad(
      where,
      `its header announces ${size} values`,
      `it has ${bytes.length - headerBytes}; the file is ${size > bytes.length - headerBytes ? 'truncated' : 'too long'}`,
    );
  }
  return { shape, data: bytes.subarray(headerBytes) };
}

/** Reads an IDX file, gzipped (`.gz`) or plain. Throws UserError. */
export async function readIdx(path: string, rank: number): Promise<IdxArray> {
  const bytes = await readBytes(path);
  if (!path.endsWith('.gz')) return parseIdx(bytes, path, rank);
  let plain: Buffer;
  try {
    plain = await promisify(gunzip)(bytes, { maxOutputLength: MAX_BYTES });
  } catch (cause) {
    throw new UserError(`Cannot read ${path}: not a whole gzip file (${(cause as Error).message})`, {
      cause,
    });
  }
  return parseIdx(plain, path, rank);
}
