import { performance } from 'node:perf_hooks';

/** Fires once after some time, not counting the time for which it was held. By a clock that cannot be set. */
export class Countdown {
  private timer: NodeJS.Timeout | undefined;
  private startedAt = 0;

  constructor(
    private leftMs: number,
    private readonly onEnd: () => void,
  ) {
    this.go();
  }

  /** Goes on after `hold`. */
  go(): void {
    if (this.timer !== undefined) return;
    this.startedAt = performance.now();
    this.timer = setTimeout(this.onEnd, this.leftMs);
  }

  hold(): void {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.leftMs = Math.max(0, this.leftMs - (performance.now() - this.startedAt));
  }
}
