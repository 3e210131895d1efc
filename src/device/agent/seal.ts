/**
 * Stored models tell themselves whether they are whole. They are named by the hash of what was sent and hold what was
 * understood of it, which may be other bytes: those end in their own hash, as an entry of the model's metadata.
 */
import { createHash } from 'node:crypto';

const KEY = 'ofakit.sha256';
const HEX_DIGITS = 64;
/** Field 14 of ModelProto (`metadata_props`), with `key` in field 1 and `value` in field 2; all lengths fit one byte. */
const HEAD = Buffer.concat([
  Buffer.from([0x72, 4 + KEY.length + HEX_DIGITS, 0x0a, KEY.length]),
  Buffer.from(KEY),
  Buffer.from([0x12, HEX_DIGITS]),
]);
const SEAL_BYTES = HEAD.length + HEX_DIGITS;

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A model as it is stored under `name`: unchanged where that is its hash. */
export function seal(model: Uint8Array, name: string): Uint8Array {
  const hash = sha256(model);
  return hash === name ? model : Buffer.concat([model, HEAD, Buffer.from(hash)]);
}

/** What `seal` was given; undefined where the bytes are not what it returned for `name`. */
export function unseal(bytes: Uint8Array, name: string): Uint8Array | undefined {
  if (sha256(bytes) === name) return bytes;
  const model = bytes.subarray(0, Math.max(0, bytes.length - SEAL_BYTES));
  const end = Buffer.concat([HEAD, Buffer.from(sha256(model))]);
  return end.equals(bytes.subarray(model.length)) ? model : undefined;
}
