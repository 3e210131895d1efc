/** `expect(actual).toBeAllclose(expected, { relative })`: largest difference against the largest expected magnitude. */
import { expect } from 'vitest';

interface Tolerance {
  readonly relative?: number;
  readonly absolute?: number;
}

interface AllcloseMatcher<R> {
  toBeAllclose(expected: ArrayLike<number>, tolerance?: Tolerance): R;
}

declare module 'vitest' {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any, @typescript-eslint/no-empty-object-type
  interface Matchers<T = any> extends AllcloseMatcher<T> {}
}

expect.extend({
  toBeAllclose(
    actual: ArrayLike<number>,
    expected: ArrayLike<number>,
    { relative = 1e-5, absolute = 1e-7 }: Tolerance = {},
  ) {
    let worst = 0;
    let at = -1;
    let scale = 0;
    for (let i = 0; i < expected.length; i++) {
      scale = Math.max(scale, Math.abs(expected[i]!));
      const difference = Math.abs(actual[i]! - expected[i]!);
      if (!(difference <= worst)) {
        worst = difference;
        at = i;
      }
    }
    const limit = relative * scale + absolute;
    const pass = actual.length === expected.length && worst <= limit;
    return {
      pass,
      message: () =>
        `lengths ${actual.length} and ${expected.length}, largest difference ${worst} at ${at} (${actual[at] ?? 'none'} against ${expected[at] ?? 'none'}), allowed ${limit}`,
    };
  },
});
