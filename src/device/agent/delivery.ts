/** Models on their way to the job in turn. */
import type { Job } from './job.js';

/** Where models are. */
export interface ModelSupply {
  has(hash: string): boolean;
  read(hash: string): Promise<Uint8Array>;
  /** Until the function returned is called, these models are not thrown away to make room. */
  hold(hashes: readonly string[]): () => void;
}

/** Models that the job in turn waits for. */
export class Delivery {
  private readonly missing: Set<string>;
  private finish!: (late: boolean) => void;
  /** Resolves when nothing is missing: to true when that took too long. */
  readonly late = new Promise<boolean>((resolve) => (this.finish = resolve));
  private readonly timer: NodeJS.Timeout;

  constructor(
    readonly job: Job,
    hashes: readonly string[],
    idleMs: number,
  ) {
    this.missing = new Set(hashes);
    this.timer = setTimeout(() => this.close(true), idleMs);
    const { signal } = job.stop;
    if (signal.aborted) this.close(false);
    else signal.addEventListener('abort', () => this.close(false), { once: true });
  }

  private close(late: boolean): void {
    clearTimeout(this.timer);
    this.finish(late);
  }

  waitsFor(hash: string): boolean {
    return this.missing.has(hash);
  }

  /** Some of a model has come. */
  progress(): void {
    this.timer.refresh();
  }

  settle(hash: string): void {
    this.missing.delete(hash);
    if (this.missing.size === 0) this.close(false);
    else this.progress();
  }
}
