/** Files in a zip archive that is in memory: those stored as they are without a copy, packed ones within bounds. */
import { crc32, inflateRawSync } from 'node:zlib';
import { fromBufferPromise, type Entry } from 'yauzl';
import { UserError } from '../../util/errors.js';

const STORED = 0;
const DEFLATED = 8;

export interface ArchiveFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Reading it takes memory beyond that of the archive. */
  readonly isPacked: boolean;
  /** Throws UserError where it is larger than `mostBytes`, packed in an unknown way, or damaged. */
  read(mostBytes: number): Uint8Array;
}

/** Files by name. Throws UserError for what is no zip archive, or a damaged one. */
export async function readArchive(
  bytes: Uint8Array,
  where: string,
): Promise<ReadonlyMap<string, ArchiveFile>> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const zip = await fromBufferPromise(buffer);
    const files = new Map<string, ArchiveFile>();
    for await (const entry of zip.eachEntry()) {
      const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      files.set(entry.fileName, archiveFile(buffer, entry, fileDataStart, where));
    }
    return files;
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`Cannot read ${where}: it must be a whole zip archive: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function archiveFile(archive: Buffer, entry: Entry, start: number, where: string): ArchiveFile {
  const { fileName: name, uncompressedSize: sizeBytes, compressedSize, compressionMethod } = entry;
  const fail = (wanted: string, current: string): never => {
    throw new UserError(`Cannot read ${where}: its part "${name}" ${wanted}: ${current}`);
  };
  return {
    name,
    sizeBytes,
    isPacked: compressionMethod !== STORED,
    read(mostBytes) {
      if (sizeBytes > mostBytes) fail(`must have ${mostBytes} bytes at most`, `it has ${sizeBytes}`);
      if (entry.isEncrypted()) fail('must not be encrypted', 'it is');
      const packed = archive.subarray(start, start + compressedSize);
      if (packed.length < compressedSize) fail(`must have ${compressedSize} bytes`, 'the file is truncated');
      const content = unpack(packed, compressionMethod, sizeBytes, fail);
      if (content.length !== sizeBytes) fail(`must have ${sizeBytes} bytes`, `it has ${content.length}`);
      if (crc32(content) !== entry.crc32)
        fail(
          'must have the checksum that the archive states',
          'it has another; the file is damaged, or was saved without checksums',
        );
      return content;
    },
  };
}

function unpack(
  packed: Buffer,
  method: number,
  sizeBytes: number,
  fail: (wanted: string, current: string) => never,
): Uint8Array {
  if (method === STORED) return packed;
  if (method !== DEFLATED) fail('must be stored or deflated', `it is packed by method ${method}`);
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, sizeBytes) });
  } catch (cause) {
    return fail(`must unpack to ${sizeBytes} bytes`, (cause as Error).message);
  }
}
