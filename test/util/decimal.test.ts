import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDecimal } from '../../src/util/decimal.js';

describe('a decimal number in text', () => {
  it.each([
    ['0', 0],
    ['1.5', 1.5],
    [' 2. ', 2],
    ['.5', 0.5],
    ['-3e-2', -0.03],
    ['+4E2', 400],
    ['010', 10],
  ])('%j is %d', (text, value) => {
    expect(parseDecimal(text)).toBe(value);
  });

  it.each([
    '',
    ' ',
    '0x10',
    '0b1',
    '0o7',
    '1_000',
    '1,5',
    '1 000',
    'NaN',
    'Infinity',
    '-Infinity',
    '1e999',
    '1e',
    '.',
    '5 ms',
    '٣',
  ])('%j is none', (text) => {
    expect(parseDecimal(text)).toBeUndefined();
  });

  it('is every finite number as it is printed, and never what is not finite', () => {
    fc.assert(
      fc.property(fc.double(), (value) =>
        Object.is(
          parseDecimal(String(value)) ?? 'none',
          Number.isFinite(value) ? (value + 0 === 0 ? 0 : value) : 'none',
        ),
      ),
    );
    fc.assert(fc.property(fc.string(), (text) => Number.isFinite(parseDecimal(text) ?? 0)));
  });
});
