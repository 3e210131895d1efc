/** Schemas of lists from files that may come from anywhere. */
import { z } from 'zod';

/**
 * A list of at most `most` entries. Its length is looked at before its entries are: a schema of lists alone walks all of them
 * and keeps what is wrong with each, which takes gigabytes where a file has millions.
 */
export function boundedList<T extends z.ZodType>(list: T, most: number): z.ZodType<z.output<T>, z.input<T>> {
  // The type of what goes in is that of the list: `preprocess` says unknown.
  const checked: z.ZodType<z.output<T>> = z.preprocess((value, context) => {
    if (!Array.isArray(value) || value.length <= most) return value;
    context.issues.push({
      code: 'custom',
      input: undefined,
      message: `at most ${most} entries are wanted: there are ${value.length}`,
    });
    return z.NEVER;
  }, list);
  return checked as z.ZodType<z.output<T>, z.input<T>>;
}
