import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeySet } from '../../src/space/keySet.js';
import { createRandom } from '../../src/util/random.js';

describe('KeySet', () => {
  it('is a set', () => {
    fc.assert(
      fc.property(
        fc.array(fc.int32Array({ minLength: 3, maxLength: 3, min: -1, max: 2 }), { maxLength: 80 }),
        (keys) => {
          const set = new KeySet(3);
          const wanted = new Set<string>();
          for (const key of keys) {
            expect(set.has(key)).toBe(wanted.has(key.join()));
            expect(set.add(key)).toBe(!wanted.has(key.join()));
            wanted.add(key.join());
            expect(set.has(key)).toBe(true);
            expect(set.size).toBe(wanted.size);
          }
        },
      ),
    );
  });

  it('grows, and keeps what it has', () => {
    const random = createRandom(1);
    const set = new KeySet(20);
    const wanted = new Set<string>();
    const keys: Int32Array[] = [];
    for (let i = 0; i < 20_000; i++) {
      const known = i % 3 === 2;
      const key = known
        ? keys[random.int(keys.length)]!.slice()
        : Int32Array.from({ length: 20 }, () => random.int(4));
      expect(set.add(key)).toBe(!wanted.has(key.join()));
      wanted.add(key.join());
      keys.push(key);
    }
    expect(set.size).toBe(wanted.size);
    for (const key of keys) expect(set.has(key)).toBe(true);
  });
});
