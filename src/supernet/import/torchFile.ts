/**
 * Checkpoints of PyTorch (`torch.save`), read without running any of them: the zip format (1.6 and later) and the one
 * before (`torch/serialization.py`, `_save` and `_legacy_save`).
 */
import { UserError } from '../../util/errors.js';
import type { Tensor } from '../../util/tensor.js';
import { ByteReader } from './byteReader.js';
import { isDict, unpickle, type PickleValue } from './pickle.js';
import {
  readTorchTensor,
  torchMeaning,
  type StorageBytes,
  type TorchObject,
  type TorchTensor,
} from './torchTensors.js';
import { readArchive, type ArchiveFile } from './zipArchive.js';

/** A description of tensors takes a few hundred bytes each. */
const MOST_PICKLE_BYTES = 32 * 2 ** 20;
/** Of packed storages, together; PyTorch never packs any. */
const MOST_UNPACKED_BYTES = 2 ** 28;
const ZIP_START = Buffer.from('PK\x03\x04', 'latin1');
/** The first pickle of the format before 1.6, without its protocol: the number below. */
const LEGACY_START = Buffer.from('8a0a6cfc9c46f9206aa850192e', 'hex');
const LEGACY_START_AT = 2;
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

export interface TorchFile {
  readonly value: PickleValue<TorchObject>;
  /** Values of one of its tensors. Throws UserError where they are not in the file. */
  read(tensor: TorchTensor): Tensor;
}

/** Whether a file starts like one that `torch.save` wrote. */
export function isTorchFile(bytes: Uint8Array): boolean {
  return startsWith(bytes, ZIP_START) || isLegacy(bytes);
}

/** Throws UserError naming `where` for files that are damaged, or that would have code run to be read. */
export async function readTorchFile(bytes: Uint8Array, where: string): Promise<TorchFile> {
  if (startsWith(bytes, ZIP_START)) return readZipFormat(bytes, where);
  if (isLegacy(bytes)) return readLegacyFormat(bytes, where);
  throw new UserError(
    `Cannot read ${where}: a file that torch.save wrote is wanted: it starts with bytes ${Buffer.from(bytes.subarray(0, 8)).toString('hex')}`,
  );
}

function startsWith(bytes: Uint8Array, start: Buffer): boolean {
  return start.equals(bytes.subarray(0, start.length));
}

function isLegacy(bytes: Uint8Array): boolean {
  return startsWith(bytes.subarray(LEGACY_START_AT), LEGACY_START);
}

async function readZipFormat(bytes: Uint8Array, where: string): Promise<TorchFile> {
  const files = await readArchive(bytes, where);
  const pickles = [...files.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [pickle] = pickles;
  if (pickle === undefined || pickles.length > 1) {
    const found = files.has('constants.pkl') ? 'it is a TorchScript program' : `it has ${pickles.length}`;
    throw new UserError(`Cannot read ${where}: a checkpoint has one part "NAME/data.pkl": ${found}`);
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  const part = files.get(pickle)!;
  // PyTorch stores it as it is; packed, a small file may hold millions of objects.
  if (part.isPacked)
    throw new UserError(`Cannot read ${where}: its part "${pickle}" must be stored as it is: it is packed`);
  const reader = new ByteReader(part.read(MOST_PICKLE_BYTES), where);
  const value = unpickle(reader, torchMeaning(where, new Map()));
  const order = files.get(`${folder}byteorder`)?.read(16);
  const littleEndian = order === undefined || Buffer.from(order).toString('latin1').trim() !== 'big';
  const known = new Map<string, Uint8Array>();
  let budget = MOST_UNPACKED_BYTES;
  const readStorage = (file: ArchiveFile): Uint8Array => {
    const bytes = file.read(file.isPacked ? budget : Infinity);
    if (file.isPacked) budget -= bytes.length;
    return bytes;
  };
  const bytesOf: StorageBytes = (key, length) => {
    const file = files.get(`${folder}data/${key}`);
    if (file === undefined || file.sizeBytes < length)
      throw missingStorage(where, key, length, file?.sizeBytes);
    const found = known.get(key) ?? readStorage(file);
    known.set(key, found);
    return found;
  };
  return { value, read: (tensor) => readTorchTensor(tensor, bytesOf, littleEndian) };
}

/**
 * Pickles of the magic number, the format's version, the system, the value, and the storages' keys; then the storages, which
 * are little-endian whatever machine wrote them (`torch/csrc/generic/serialization.cpp`).
 */
function readLegacyFormat(bytes: Uint8Array, where: string): TorchFile {
  const reader = new ByteReader(bytes, where);
  const widths = new Map<string, number>();
  const next = (): PickleValue<TorchObject> => unpickle(reader, torchMeaning(where, widths));
  const [magic, protocol, system] = [next(), next(), next()];
  if (magic !== LEGACY_MAGIC || protocol !== LEGACY_PROTOCOL || !isDict(system))
    reader.fail('a file that torch.save wrote is wanted', 'it is not; save it again with a newer PyTorch');
  const value = next();
  const keys = next();
  const storages = new Map<string, Uint8Array>();
  for (const key of Array.isArray(keys) ? (keys as PickleValue<TorchObject>[]) : []) {
    const width = typeof key === 'string' ? widths.get(key) : undefined;
    if (width === undefined) reader.fail('its storages must be those of its tensors', 'there are others');
    else storages.set(key as string, reader.take(Number(reader.int64()) * width));
  }
  const bytesOf: StorageBytes = (key, length) => {
    const found = storages.get(key);
    if (found === undefined || found.length < length) throw missingStorage(where, key, length, found?.length);
    return found;
  };
  return { value, read: (tensor) => readTorchTensor(tensor, bytesOf, true) };
}

function missingStorage(where: string, key: string, wanted: number, found: number | undefined): UserError {
  const current = found === undefined ? 'it is missing' : `it has ${found}`;
  return new UserError(`Cannot read ${where}: its storage "${key}" must have ${wanted} bytes: ${current}`);
}
