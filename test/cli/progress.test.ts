/** Progress: words that can be read whatever the numbers are. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/cli/console.js';
import { ProgressState } from '../../src/cli/progress.js';
import { formatDuration } from '../../src/util/duration.js';

const UNREADABLE = /NaN|Infinity|undefined|NULL|INF|-\d/;
const anyNumber = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, Number.MAX_VALUE),
  fc.nat(100),
);

describe('progress', () => {
  it('is never NaN, infinite or negative', () => {
    fc.assert(
      fc.property(anyNumber, fc.array(fc.tuple(anyNumber, fc.nat(10_000))), (total, updates) => {
        const state = new ProgressState(total);
        let now = 0;
        for (const [done, ms] of updates) {
          now += ms;
          const { share, percent, counted, left, leftSeconds } = state.at(done, now);
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(1);
          expect(leftSeconds ?? 0).toBeGreaterThanOrEqual(0);
          expect(Number.isFinite(leftSeconds ?? 0)).toBe(true);
          expect(`${percent} ${counted.replaceAll('e-', 'e')} ${left}`).not.toMatch(UNREADABLE);
        }
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('takes the speed from what was done since it was first told', () => {
    const state = new ProgressState(100);
    expect(state.at(60, 1000)).toMatchObject({
      percent: '60 %',
      counted: '60/100',
      left: 'time left unknown',
    });
    // Ten in five seconds: thirty more in fifteen.
    expect(state.at(70, 6000)).toMatchObject({ percent: '70 %', left: '15 s left', leftSeconds: 15 });
    expect(state.at(100, 9000)).toMatchObject({ share: 1, left: '0 s left' });
    expect(new ProgressState(0).at(3, 0)).toMatchObject({ percent: '', counted: '3', share: 0 });
  });

  it('is shown so on a terminal, with totals of zero and numbers that are none', async () => {
    const shown: string[] = [];
    const write = process.stderr.write.bind(process.stderr);
    const tty = process.stderr.isTTY;
    process.stderr.write = (text: string) => shown.push(text) > 0;
    process.stderr.isTTY = true;
    try {
      const logger = await createLogger({ out: () => undefined, err: () => undefined, interactive: true });
      for (const total of [0, NaN, 5]) {
        const progress = logger.progress('Work', total);
        for (const done of [0, 0, NaN, 2.5, 5, 9]) {
          progress.update(done, 'note');
          await new Promise((resolve) => setTimeout(resolve, 120));
        }
        progress.stop();
      }
    } finally {
      process.stderr.write = write;
      process.stderr.isTTY = tty;
    }
    const text = shown.join('');
    expect(text).toContain('Work');
    expect(text).toContain('100 % · 5/5');
    expect(text).not.toMatch(/NaN|NULL|INF/);
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 s'],
    [59.4, '59 s'],
    [59.6, '1 min'],
    [200, '3 min 20 s'],
    [3599.7, '1 h'],
    [7800, '2 h 10 min'],
    [86_399, '1 d'],
    [200_000, '2 d 8 h'],
    [NaN, 'unknown'],
    [Infinity, 'unknown'],
    [-1, 'unknown'],
  ])('%d s: %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
