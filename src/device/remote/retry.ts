/** Trying again what a network or a busy agent prevented. */
import { setTimeout as sleep } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { Logger } from '../../util/logger.js';
import { RefusedError, UnreachableError } from './http.js';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;

/** How long to go on without any success. Read by a clock that cannot be set. */
export class Patience {
  private since: number | undefined;
  private pauseMs = FIRST_PAUSE_MS;

  constructor(
    private readonly limitMs: number,
    private readonly logger: Logger,
  ) {}

  /** Something was heard. */
  renew(): void {
    if (this.since !== undefined) this.logger.info('The agent answers again');
    this.since = undefined;
    this.pauseMs = FIRST_PAUSE_MS;
  }

  /** Waits, longer every time. Throws `error` where it is not one to wait for, or patience is over. */
  async wait(error: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const passing = error instanceof UnreachableError || (error instanceof RefusedError && error.passing);
    if (!passing) throw error;
    if (this.since === undefined) {
      this.since = performance.now();
      this.logger.warn(`${error.message}; trying again for ${Math.round(this.limitMs / 1000)} s`);
    }
    if (performance.now() - this.since + this.pauseMs > this.limitMs) throw error;
    await sleep(this.pauseMs, undefined, { signal });
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
  }

  /** Calls `work` until it succeeds. */
  async until<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      try {
        const result = await work();
        this.renew();
        return result;
      } catch (error) {
        await this.wait(error, signal);
      }
    }
  }
}
