/**
 * The safetensors file format (https://github.com/huggingface/safetensors#format): 8 bytes of header length, a JSON
 * header with dtype, shape and offsets of each tensor, then the bytes. Written as F32; other types are converted to
 * float32 on reading. Little-endian hosts only, as are the runtimes.
 */
import { z } from 'zod';
import { boundedList } from '../util/bounded.js';
import { UserError } from '../util/errors.js';
import { readBytes, writeAtomic } from '../util/files.js';
import { formatShape, sizeOf, type Tensor } from '../util/tensor.js';
import { duplicateKey } from './jsonKeys.js';

/** Limit of the reference implementation: guards against reading a foreign file as a length. */
const LONGEST_HEADER = 2 ** 24;
const LONGEST_NAME = 1000;
/** More than any tensor of a network has. */
const MOST_DIMENSIONS = 16;
const ALIGNMENT = 8;
const METADATA = '__metadata__';

export interface SafetensorsContent {
  /** In the order of their bytes. */
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface Dtype {
  readonly bytes: number;
  /** One value; undefined for F32, which is copied bit by bit. */
  readonly read?: (view: DataView, offset: number) => number;
}

/** Integers and F64 beyond float32's precision are rounded. */
const DTYPES: ReadonlyMap<string, Dtype> = new Map<string, Dtype>([
  ['F32', { bytes: 4 }],
  ['F64', { bytes: 8, read: (view, at) => view.getFloat64(at, true) }],
  ['F16', { bytes: 2, read: (view, at) => halfToNumber(view.getUint16(at, true)) }],
  ['BF16', { bytes: 2, read: (view, at) => bfloatToNumber(view.getUint16(at, true)) }],
  ['I64', { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) }],
  ['I32', { bytes: 4, read: (view, at) => view.getInt32(at, true) }],
  ['I16', { bytes: 2, read: (view, at) => view.getInt16(at, true) }],
  ['I8', { bytes: 1, read: (view, at) => view.getInt8(at) }],
  ['U8', { bytes: 1, read: (view, at) => view.getUint8(at) }],
  ['BOOL', { bytes: 1, read: (view, at) => (view.getUint8(at) === 0 ? 0 : 1) }],
]);

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** bfloat16 is the upper half of a float32. */
export function bfloatToNumber(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!;
}

/**
 * A whole file as bytes. Values keep their bits (NaN payloads, -0). Throws RangeError where a tensor is called
 * `__metadata__` or its data does not fit its shape.
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"${METADATA}":${JSON.stringify(metadata)}`);
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    if (name === METADATA)
      throw new RangeError(`Cannot store a tensor named "${METADATA}": the name is taken`);
    if (data.length !== sizeOf(shape)) {
      throw new RangeError(
        `Cannot store tensor "${name}": shape ${formatShape(shape)} needs ${sizeOf(shape)} values: there are ${data.length}`,
      );
    }
    const begin = end;
    end += data.byteLength;
    // Text by hand, as an object would move names that look like integers to the front.
    const info = JSON.stringify({ dtype: 'F32', shape, data_offsets: [begin, end] });
    entries.push(`${JSON.stringify(name)}:${info}`);
  }
  const json = Buffer.from(`{${entries.join(',')}}`, 'utf8');
  const headerLength = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  const file = Buffer.alloc(8 + headerLength + end, 0x20);
  file.writeBigUInt64LE(BigInt(headerLength), 0);
  json.copy(file, 8);
  let at = 8 + headerLength;
  for (const { data } of tensors.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

const integer = z.number().int().nonnegative();
const tensorInfo = z.strictObject({
  dtype: z.string(),
  shape: boundedList(z.array(integer), MOST_DIMENSIONS),
  data_offsets: boundedList(z.tuple([integer, integer]), 2),
});

interface Entry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Reads a whole file; the tensors have memory of their own. Throws UserError naming `where` and what is wrong. */
export function decodeSafetensors(bytes: Uint8Array, where: string): SafetensorsContent {
  const fail = (wanted: string, current: string): never => {
    throw new UserError(`Cannot read ${where}: ${wanted}: ${current}`);
  };
  if (bytes.length < 8)
    fail('a safetensors file starts with 8 bytes of header length', `it has ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const declared = view.getBigUint64(0, true);
  if (declared > LONGEST_HEADER) {
    fail(`the header may be ${LONGEST_HEADER} bytes long`, `it says ${declared}; not a safetensors file`);
  }
  const start = 8 + Number(declared);
  if (start > bytes.length) {
    fail(`the header ends at byte ${start}`, `the file ends at ${bytes.length}; it is truncated`);
  }
  const { entries, metadata } = parseHeader(bytes.subarray(8, start), fail);
  let previous = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== previous) {
      const defect = begin < previous ? 'overlaps the one before' : 'leaves a hole before it';
      fail(
        `the bytes of tensor "${name}" must start at ${previous}`,
        `they start at ${begin}, which ${defect}`,
      );
    }
    previous = end;
  }
  const present = bytes.length - start;
  if (previous > present) {
    fail(`the tensors have ${previous} bytes`, `the file has ${present} of them; it is truncated`);
  }
  if (previous < present) fail(`the tensors have ${previous} bytes`, `${present - previous} more follow`);
  const tensors = new Map<string, Tensor>();
  for (const entry of entries) {
    tensors.set(entry.name, { shape: entry.shape, data: values(bytes, view, start, entry) });
  }
  return { tensors, metadata };
}

function values(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  { dtype, begin, end }: Entry,
): Float32Array {
  const { read, bytes: width } = dtype;
  if (read === undefined) {
    const data = new Float32Array((end - begin) / width);
    new Uint8Array(data.buffer).set(bytes.subarray(start + begin, start + end));
    return data;
  }
  return Float32Array.from({ length: (end - begin) / width }, (_, i) =>
    read(view, start + begin + i * width),
  );
}

function parseHeader(
  bytes: Uint8Array,
  fail: (wanted: string, current: string) => never,
): { entries: Entry[]; metadata: Record<string, string> } {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    return fail('the header must be JSON', (cause as Error).message);
  }
  if (!text.startsWith('{')) return fail('the header must be a JSON object', 'it is not');
  const twice = duplicateKey(text);
  if (twice !== undefined) return fail('names in the header must differ', `"${twice}" is there twice`);
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header as object)) {
    if (name !== METADATA) {
      entries.push(parseEntry(name, value, fail));
      continue;
    }
    // By hand, as a zod record drops a key "__proto__".
    if (!isTextMap(value)) return fail(`"${METADATA}" must map names to texts`, 'it does not');
    metadata = value;
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  return { entries, metadata };
}

function isTextMap(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((text) => typeof text === 'string');
}

function parseEntry(given: string, value: unknown, fail: (wanted: string, current: string) => never): Entry {
  const name =
    given.length > LONGEST_NAME
      ? fail(`names of tensors have at most ${LONGEST_NAME} characters`, `one has ${given.length}`)
      : given;
  const parsed = tensorInfo.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return fail(
      `tensor "${name}" must have dtype, shape and data_offsets`,
      `${issue.path.join('.')} ${issue.message}`,
    );
  }
  const { dtype: type, shape, data_offsets } = parsed.data;
  const dtype = DTYPES.get(type);
  if (dtype === undefined) {
    return fail(
      `the dtype of tensor "${name}" must be one of ${[...DTYPES.keys()].join(', ')}`,
      `it is "${type}"`,
    );
  }
  const [begin, end] = data_offsets;
  const size = sizeOf(shape) * dtype.bytes;
  if (end - begin !== size) {
    return fail(
      `tensor "${name}" of ${type} ${formatShape(shape)} has ${size} bytes`,
      `its offsets span ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Writes a file atomically. Throws UserError. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  await writeAtomic(path, encodeSafetensors(tensors, metadata));
}

/** Reads a file. Throws UserError naming it. */
export async function readSafetensors(path: string): Promise<SafetensorsContent> {
  return decodeSafetensors(await readBytes(path), path);
}
