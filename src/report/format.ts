/** Numbers as people read them. Units are part of the text; spaces before them do not break. */

const SPACE = '\u00a0';
const WORDS = 'no one two three four five six seven eight nine ten eleven twelve'.split(' ');

/** `significant` digits, without an exponent and never fewer than the integer part has. */
function digits(value: number, significant: number): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(significant)))));
  return value.toFixed(Math.min(12, Math.max(0, significant - 1 - magnitude)));
}

/** `1 234 567`: groups of three from five digits on. */
export function formatInteger(value: number): string {
  const text = Math.round(value).toFixed(0);
  return text.replace('-', '').length < 5 ? text : text.replace(/\B(?=(\d{3})+$)/g, SPACE);
}

/** `0.213 ms`, `12.3 ms`: one unit throughout, so that columns compare. */
export function formatMs(value: number, significant = 3): string {
  return `${digits(value, significant)}${SPACE}ms`;
}

/** A budget as the user gave it: `5 ms`, `0.25 ms`. */
export function formatLimit(value: number): string {
  return `${Number(value.toPrecision(6))}${SPACE}ms`;
}

/** A fraction in [0, 1] as percent. */
export function formatTop1(fraction: number, decimals = 2): string {
  return `${(100 * fraction).toFixed(decimals)}${SPACE}%`;
}

/** A fraction with its standard error, where it is known: `97.34 % ± 0.51`. */
export function formatMeasured(fraction: number, standardError: number | undefined): string {
  const text = formatTop1(fraction);
  return standardError === undefined ? text : `${text}${SPACE}±${SPACE}${(100 * standardError).toFixed(2)}`;
}

export function formatPercent(percent: number, decimals = 1): string {
  return `${percent.toFixed(decimals)}${SPACE}%`;
}

/** `12.3 M`, `1.20 G`: three digits with the SI letter for millions and so on. */
export function formatCount(value: number): string {
  const units: readonly [number, string][] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ];
  // From 999.5 on, three digits round up into the next unit.
  for (const [size, letter] of units) {
    if (value >= size * 0.9995) return `${digits(value / size, 3)}${SPACE}${letter}`;
  }
  return formatInteger(value);
}

/** A number of subnets in decimal digits; `2.19 × 10^19` with a real superscript where it is huge. */
export function formatHuge(decimal: string): string {
  if (!/^\d+$/.test(decimal)) return decimal;
  const text = decimal.replace(/^0+(?=\d)/, '');
  if (text.length <= 9) return formatInteger(Number(text));
  const [mantissa, exponent] = Number(`0.${text}`).toExponential(2).split('e') as [string, string];
  return `${mantissa}${SPACE}×${SPACE}10${superscript(text.length + Number(exponent))}`;
}

function superscript(value: number): string {
  return String(value).replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]!);
}

export function formatTau(tau: number | null): string {
  return tau === null ? 'not defined (all values equal)' : tau.toFixed(3);
}

/** `three models`, `1 234 models`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${WORDS[count] ?? formatInteger(count)} ${count === 1 ? one : many}`;
}

export function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `0.21 to 0.54 ms`, or one value where all print alike. `format` adds the unit. */
export function formatRange(values: readonly number[], format: (value: number) => string): string {
  const low = format(values.reduce((a, b) => Math.min(a, b)));
  const high = format(values.reduce((a, b) => Math.max(a, b)));
  if (low === high) return low;
  const unit = new RegExp(`${SPACE}\\S+$`);
  return `${low.replace(unit, '')} to ${high}`;
}
