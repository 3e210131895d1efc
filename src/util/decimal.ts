/** Numbers in text that others wrote: what people read as a number, and nothing else. */

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The decimal number, spaces around it let pass; undefined for anything else: nothing at all, `0x10`, `1_000`, `1,5`, `NaN`,
 * `Infinity`, and what is too large for a number.
 */
export function parseDecimal(text: string): number | undefined {
  const plain = text.trim();
  const value = DECIMAL.test(plain) ? Number(plain) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}
