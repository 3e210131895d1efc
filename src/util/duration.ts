/** Times for people. */

/** 45 -> "45 s", 200 -> "3 min 20 s", 7800 -> "2 h 10 min", 200000 -> "2 d 8 h"; "unknown" for what is no time. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return 'unknown';
  const whole = Math.round(seconds);
  const pair = (large: number, one: string, small: number, other: string): string =>
    small === 0 ? `${large} ${one}` : `${large} ${one} ${small} ${other}`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), 'min', whole % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(seconds / 3600);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}
