/**
 * Seeded chance. A generator is derived from a seed and the names of what it is for (`createRandom(seed, 'sample',
 * step)`), so that nothing has to be saved to resume, and the order of work does not change results.
 */
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export interface Random {
  /** Uniform in [0, 1), 32 bits of resolution. */
  float(): number;
  /** Uniform integer in [0, bound). */
  int(bound: number): number;
  /** One element, uniformly. Throws RangeError for an empty list. */
  pick<T>(list: readonly T[]): T;
  /** Standard normal deviate (Box-Muller). */
  normal(): number;
  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(list: readonly T[]): T[];
}

/** FNV-1a over the parts' text, finished with a 32-bit avalanche (MurmurHash3's), so that near seeds give unrelated streams. */
function hashSeed(parts: readonly (string | number)[]): number {
  let h = 0x811c9dc5;
  for (const part of parts) {
    for (const c of `${part}\u0000`) h = Math.imul(h ^ c.codePointAt(0)!, 0x01000193);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A generator for one purpose: the same parts give the same stream on every machine. */
export function createRandom(...seedParts: readonly (string | number)[]): Random {
  const generator = xoroshiro128plus(hashSeed(seedParts));
  const float = (): number => (generator.next() >>> 0) / 4294967296;
  let spare: number | undefined;
  const random: Random = {
    float,
    int: (bound) => Math.floor(float() * bound),
    pick: (list) => {
      if (list.length === 0) throw new RangeError('Cannot pick from an empty list');
      return list[Math.floor(float() * list.length)]!;
    },
    normal: () => {
      if (spare !== undefined) {
        const value = spare;
        spare = undefined;
        return value;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - float()));
      const angle = 2 * Math.PI * float();
      spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    },
    shuffle: (list) => {
      const copy = [...list];
      for (let i = copy.length - 1; i > 0; i--) {
        const j = random.int(i + 1);
        [copy[i], copy[j]] = [copy[j]!, copy[i]!];
      }
      return copy;
    },
  };
  return random;
}
