/** How far work is, in numbers that can always be shown. */
import { formatDuration } from '../util/duration.js';

export interface Shown {
  /** From 0 to 1; 0 where the total is not known. */
  readonly share: number;
  /** `50 %`; `` where the total is not known. */
  readonly percent: string;
  /** `12/24`; `12` where the total is not known. */
  readonly counted: string;
  /** `3 min 20 s left`, or that it is not known. */
  readonly left: string;
  /** Seconds; undefined where that is not known. */
  readonly leftSeconds: number | undefined;
}

/** Follows one piece of work. What was done at the first call was done before, and says nothing of the speed. */
export class ProgressState {
  private before: { readonly done: number; readonly atMs: number } | undefined;

  /** `total`: units; 0, or what is no number, where it is not known. */
  constructor(private readonly total: number) {}

  at(given: number, nowMs: number): Shown {
    const known = Number.isFinite(this.total) && this.total > 0;
    const done = Number.isFinite(given) ? Math.max(0, given) : 0;
    this.before ??= { done, atMs: nowMs };
    const share = known ? Math.min(1, done / this.total) : 0;
    const leftSeconds = known ? this.secondsLeft(done, nowMs) : undefined;
    return {
      share,
      percent: known ? `${Math.floor(100 * share)} %` : '',
      counted: known ? `${Math.floor(done)}/${this.total}` : `${Math.floor(done)}`,
      left: leftSeconds === undefined ? 'time left unknown' : `${formatDuration(leftSeconds)} left`,
      leftSeconds,
    };
  }

  private secondsLeft(done: number, nowMs: number): number | undefined {
    const { done: first, atMs } = this.before!;
    if (done >= this.total) return 0;
    const perUnit = (nowMs - atMs) / 1000 / (done - first);
    const left = perUnit * (this.total - done);
    return done > first && Number.isFinite(left) ? Math.max(0, left) : undefined;
  }
}
