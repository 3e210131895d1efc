/** Reads numbers and text from bytes one after the other; never beyond their end. */
import { UserError } from '../../util/errors.js';

const LONGEST_LINE = 1024;

export class ByteReader {
  private readonly bytes: Buffer;
  position = 0;

  /** `where` names the file in messages. */
  constructor(
    bytes: Uint8Array,
    readonly where: string,
  ) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Throws a UserError that names the file. */
  fail(wanted: string, current: string): never {
    throw new UserError(`Cannot read ${this.where}: ${wanted}: ${current}`);
  }

  /** The next `length` bytes: a view, not a copy. */
  take(length: number): Buffer {
    const start = this.position;
    if (!(length >= 0 && length <= this.bytes.length - start)) {
      this.fail(
        `${length} bytes are wanted at byte ${start}`,
        `${this.bytes.length - start} are left; it is truncated`,
      );
    }
    this.position += length;
    return this.bytes.subarray(start, this.position);
  }

  skip(length: number): void {
    this.take(length);
  }

  uint8(): number {
    return this.take(1)[0]!;
  }

  uint16(): number {
    return this.take(2).readUInt16LE();
  }

  int32(): number {
    return this.take(4).readInt32LE();
  }

  uint32(): number {
    return this.take(4).readUInt32LE();
  }

  int64(): bigint {
    return this.take(8).readBigInt64LE();
  }

  float64BigEndian(): number {
    return this.take(8).readDoubleBE();
  }

  /** Two's complement of `length` bytes, least significant first; none are 0. */
  bigInt(length: number): bigint {
    let value = 0n;
    const bytes = this.take(length);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    return BigInt.asIntN(Math.max(1, 8 * length), value);
  }

  text(length: number, encoding: 'utf8' | 'latin1'): string {
    return this.take(length).toString(encoding);
  }

  /** Up to the next newline, which is passed over. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.position);
    if (end < 0 || end - this.position > LONGEST_LINE)
      this.fail('a name of its pickle must end in a newline', 'it does not');
    const text = this.text(end - this.position, 'utf8');
    this.position = end + 1;
    return text;
  }
}
