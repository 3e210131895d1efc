import { describe, expect, it } from 'vitest';
import { duration, milliseconds, stepText } from '../../../src/device/browser/page/format.js';

describe('figures on the page', () => {
  it('have three digits and the unit that fits', () => {
    const text = (ms: number): string => milliseconds(ms).join(' ');
    expect([0.0123, 0.1, 2.414, 24.14, 241.4, 2414].map(text)).toEqual([
      '12.3 µs',
      '0.10 ms',
      '2.41 ms',
      '24.1 ms',
      '241 ms',
      '2.41 s',
    ]);
  });

  it('say how long it will take', () => {
    expect([0, 41_300, 170_000, 7_200_000].map(duration)).toEqual(['1 s', '41 s', '3 min', '2 h']);
  });

  it('name steps as people do', () => {
    expect(stepText('block', 'warmup')).toBe('warming up: block');
    expect(stepText('block', 'something else')).toBe('something else: block');
  });
});
