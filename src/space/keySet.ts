/** A set of keys of one length, kept as words: several times as quick as a set of strings. */

const FIRST_CAPACITY = 1024;

export class KeySet {
  #capacity = FIRST_CAPACITY;
  /** Place of an entry plus 1, or 0; open addressing, half full at most. */
  #slots = new Int32Array(2 * FIRST_CAPACITY);
  /** Entry after entry. */
  #keys: Int32Array;
  #hashes = new Int32Array(FIRST_CAPACITY);
  #size = 0;

  /** `length`: words of every key. */
  constructor(readonly length: number) {
    this.#keys = new Int32Array(FIRST_CAPACITY * length);
  }

  get size(): number {
    return this.#size;
  }

  has(key: Int32Array): boolean {
    return this.#slots[this.#find(key, hash(key))] !== 0;
  }

  /** Whether it was not there. */
  add(key: Int32Array): boolean {
    const code = hash(key);
    const slot = this.#find(key, code);
    if (this.#slots[slot] !== 0) return false;
    if (this.#size === this.#capacity) {
      this.#grow();
      return this.add(key);
    }
    this.#keys.set(key, this.#size * this.length);
    this.#hashes[this.#size] = code;
    this.#slots[slot] = ++this.#size;
    return true;
  }

  /** The slot that holds the key, or where it belongs. */
  #find(key: Int32Array, code: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = code & mask;
    for (;;) {
      const entry = slots[slot]!;
      if (entry === 0 || (this.#hashes[entry - 1] === code && this.#equals(key, (entry - 1) * this.length)))
        return slot;
      slot = (slot + 1) & mask;
    }
  }

  #equals(key: Int32Array, start: number): boolean {
    const keys = this.#keys;
    for (let i = 0; i < key.length; i++) if (keys[start + i] !== key[i]) return false;
    return true;
  }

  #grow(): void {
    this.#capacity *= 2;
    const keys = new Int32Array(this.#capacity * this.length);
    keys.set(this.#keys);
    this.#keys = keys;
    const hashes = new Int32Array(this.#capacity);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    const slots = new Int32Array(2 * this.#capacity);
    const mask = slots.length - 1;
    for (let entry = 0; entry < this.#size; entry++) {
      let slot = hashes[entry]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = entry + 1;
    }
    this.#slots = slots;
  }
}

/** MurmurHash3 (Appleby, 2011; `MurmurHash3_x86_32`) of whole words, without their number. */
function hash(key: Int32Array): number {
  let h = 0;
  for (let i = 0; i < key.length; i++) {
    let k = Math.imul(key[i]!, 0xcc9e2d51);
    k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    h ^= k;
    h = (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}
