/** Figures as people read them. */

/** Three significant digits and a unit: `["2.41", "ms"]`. */
export function milliseconds(ms: number): readonly [string, string] {
  const digits = (value: number): string =>
    value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  if (ms >= 1000) return [digits(ms / 1000), 's'];
  return ms >= 0.1 ? [digits(ms), 'ms'] : [digits(ms * 1000), 'µs'];
}

/** `40 s`, `3 min`, `2 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 100 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

export function stepText(id: string, step: string): string {
  const steps: Readonly<Record<string, string>> = { load: 'loading', warmup: 'warming up', round: 'timing' };
  return `${steps[step] ?? step}: ${id}`;
}
