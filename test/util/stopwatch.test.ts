import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idleStopwatch, PartTimes, time } from '../../src/util/stopwatch.js';

describe('PartTimes', () => {
  it('gives time to the part begun last among those open, in any order of ends', () => {
    // Steps: begin a part, end one that is open, or let time pass.
    const step = fc.oneof(
      fc.record({ kind: fc.constant('begin' as const), part: fc.constantFrom('a', 'b', 'c') }),
      fc.record({ kind: fc.constant('end' as const), which: fc.nat(5) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 9 }) }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        let now = 0;
        const times = new PartTimes(() => now);
        const open: { part: string; end: () => void }[] = [];
        const expected = new Map<string, number>();
        for (const s of steps) {
          if (s.kind === 'begin') open.push({ part: s.part, end: times.begin(s.part) });
          else if (s.kind === 'end') open.splice(s.which, 1)[0]?.end();
          else {
            now += s.ms;
            const current = open.at(-1)?.part;
            if (current !== undefined) expected.set(current, (expected.get(current) ?? 0) + s.ms);
          }
        }
        expect(new Map([...times.read()].filter(([, ms]) => ms > 0))).toEqual(expected);
      }),
    );
  });

  it('ends a part once', () => {
    let now = 0;
    const times = new PartTimes(() => now);
    const outer = times.begin('outer');
    const inner = times.begin('inner');
    now = 2;
    inner();
    inner();
    now = 5;
    outer();
    now = 9;
    expect(times.read()).toEqual(
      new Map([
        ['inner', 2],
        ['outer', 3],
      ]),
    );
    times.reset();
    expect(times.read().size).toBe(0);
  });
});

it('time counts until the promise settles, also where it is rejected', async () => {
  let now = 0;
  const times = new PartTimes(() => now);
  const later = async (ms: number): Promise<number> => {
    await Promise.resolve();
    now += ms;
    return ms;
  };
  expect(await time(times, 'work', () => later(3))).toBe(3);
  const failing = time(times, 'work', async () => {
    await later(4);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  now += 100;
  expect(times.read()).toEqual(new Map([['work', 7]]));
  expect(await time(idleStopwatch, 'work', () => later(1))).toBe(1);
});
