import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProgramCache } from '../../src/engine/programCache.js';
import type { Engine } from '../../src/engine/engine.js';
import { programBytes } from '../../src/engine/programBytes.js';
import { Recent } from '../../src/engine/recent.js';
import { referenceEngine } from '../../src/engine/reference.js';
import { GraphBuilder, type Graph } from '../../src/graph/graph.js';
import { affine } from '../../src/graph/operations/elementwise.js';
import { peakBytes } from '../../src/graph/peakMemory.js';
import { tensor } from '../../src/util/tensor.js';

class Item {
  disposed = 0;
  constructor(readonly name: string) {}
  dispose(): Promise<void> {
    this.disposed++;
    return Promise.resolve();
  }
}

describe('Recent', () => {
  it('keeps what was used last, up to its bytes, as a list kept by hand does', async () => {
    const size = (key: string): number => 1 + (key.charCodeAt(0) % 4);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')),
        fc.integer({ min: 1, max: 12 }),
        async (keys, maxBytes) => {
          const cache = new Recent<Item>(maxBytes);
          const made: Item[] = [];
          let list: string[] = [];
          let misses = 0;
          for (const key of keys) {
            const item = await cache.get(key, () => {
              misses++;
              const fresh = new Item(key);
              made.push(fresh);
              return { item: Promise.resolve(fresh), bytes: size(key) };
            });
            expect(item.name).toBe(key);
            expect(item.disposed).toBe(0);
            list = [...list.filter((k) => k !== key), key];
            while (list.length > 1 && list.reduce((sum, k) => sum + size(k), 0) > maxBytes) list.shift();
          }
          const { statistics } = cache;
          expect(statistics).toEqual({
            hits: keys.length - misses,
            misses,
            evictions: misses - list.length,
            programs: list.length,
            bytes: list.reduce((sum, k) => sum + size(k), 0),
          });
          const live = made.filter(({ disposed }) => disposed === 0);
          expect(live.map(({ name }) => name).sort()).toEqual([...list].sort());
          await cache.dispose();
          expect(made.every(({ disposed }) => disposed === 1)).toBe(true);
          expect(cache.statistics).toMatchObject({ programs: 0, bytes: 0 });
        },
      ),
    );
  });

  it('does not keep what could not be made', async () => {
    const cache = new Recent<Item>(10);
    const failing = cache.get('a', () => ({ item: Promise.reject(new Error('no')), bytes: 3 }));
    await expect(failing).rejects.toThrow('no');
    expect(cache.statistics).toMatchObject({ programs: 0, bytes: 0 });
    const item = await cache.get('a', () => ({ item: Promise.resolve(new Item('a')), bytes: 3 }));
    expect(item.name).toBe('a');
  });

  it('makes once what is asked for twice at a time', async () => {
    const cache = new Recent<Item>(10);
    const make = () => ({ item: Promise.resolve(new Item('a')), bytes: 1 });
    const [first, second] = await Promise.all([cache.get('a', make), cache.get('a', make)]);
    expect(first).toBe(second);
  });

  it('meets another limit from the next thing made on', async () => {
    const cache = new Recent<Item>(10);
    const get = (key: string) => cache.get(key, () => ({ item: Promise.resolve(new Item(key)), bytes: 3 }));
    for (const key of 'abc') await get(key);
    cache.limit(6);
    await get('c');
    expect(cache.statistics.programs).toBe(3);
    await get('d');
    expect(cache.statistics).toMatchObject({ programs: 2, bytes: 6 });
  });
});

describe('ProgramCache', () => {
  const graph = (factor: number): Graph => {
    const b = new GraphBuilder();
    b.output('y', affine(b, b.input('x', [2]), factor));
    return b.build();
  };

  it('compiles again what it had to give up', async () => {
    const bytes = programBytes(graph(1));
    const cache = new ProgramCache(referenceEngine, 2.5 * bytes);
    const run = async (factor: number): Promise<number[]> => {
      const program = await cache.get(`${factor}`, () => graph(factor));
      return [...(await program.run({ x: tensor([2], Float32Array.of(1, 2)) }))['y']!.data];
    };
    for (const factor of [2, 3, 2, 4, 3, 2]) expect(await run(factor)).toEqual([factor, 2 * factor]);
    expect(cache.statistics).toEqual({ hits: 1, misses: 5, evictions: 3, programs: 2, bytes: 2 * bytes });
    await cache.dispose();
  });

  it('lets a program keep the memory of a run where a quarter of all is enough, and counts it', async () => {
    const peak = peakBytes(graph(1));
    for (const [maxBytes, kept] of [
      [4 * peak, true],
      [4 * peak - 1, false],
    ] as const) {
      const asked: (boolean | undefined)[] = [];
      const engine: Engine = {
        ...referenceEngine,
        compile: (own, options) => {
          asked.push(options?.keepMemory);
          return referenceEngine.compile(own);
        },
      };
      const cache = new ProgramCache(engine, maxBytes);
      await cache.get('plain', () => graph(1));
      expect(cache.statistics.bytes).toBe(programBytes(graph(1)));
      await cache.get('keeping', () => graph(2), true);
      expect(asked).toEqual([false, kept]);
      expect(cache.statistics.bytes % programBytes(graph(1))).toBe(kept ? peak : 0);
      await cache.dispose();
    }
  });

  it('counts operations and constants', () => {
    const b = new GraphBuilder();
    const weights = b.constant('w', [1000], new Float32Array(1000));
    b.output('y', affine(b, affine(b, weights, 2), 3));
    expect(programBytes(b.build())).toBe(2 * programBytes(graph(1)) + 8000);
  });
});
