import fc from 'fast-check';
import { expect, it } from 'vitest';
import { memorySize } from '../../src/cli/memorySize.js';
import { UsageError } from '../../src/util/errors.js';

const parse = memorySize('max-memory');

it('reads amounts of memory, in powers of ten or of two', () => {
  const amounts: Record<string, number> = {
    '12GB': 12e9,
    '12gb': 12e9,
    ' 1.5 GiB ': 1.5 * 2 ** 30,
    '800MB': 800e6,
    '800 MiB': 800 * 2 ** 20,
    '4096': 4096,
    '64kb': 64e3,
    '2TB': 2e12,
  };
  for (const [text, bytes] of Object.entries(amounts)) expect(parse(text), text).toBe(bytes);
});

it('refuses what is none, quoting it', () => {
  for (const text of ['', '0', '0GB', '12 G B', 'GB', '-1GB', '1e9', '12XB', '12GBs', 'NaN']) {
    expect(() => parse(text), text).toThrow(UsageError);
  }
  expect(() => parse('lots')).toThrow(
    'Cannot use --max-memory: an amount such as 12GB or 800MiB is wanted: current value is "lots"',
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        expect(parse(text)).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }),
  );
});
