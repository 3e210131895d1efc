/** One job in a browser, which may need several tabs one after another: what is left of it, and what each has told. */
import { randomUUID } from 'node:crypto';
import type { MeasureEvent, MeasureJob } from '../transport.js';
import type { Order, TabDevice, TabEvent, WorkOrder } from './messages.js';

/** A tab that was lost so often while it was at the same model is taken to have been killed by it. */
export const MAX_LOSSES = 3;

/** A job on its way through one or more attempts. */
export class BrowserRun {
  /** Identifies what a tab was last told to do; null until one was. */
  attempt: string | null = null;
  /** Events of the attempt that have arrived. */
  told = 0;
  current: string | undefined;
  private readonly losses = new Map<string, number>();
  private open: Set<string>;
  private pause: NodeJS.Timeout | undefined;
  private finish!: (lost: string | undefined) => void;
  readonly ended: Promise<string | undefined>;
  over = false;

  constructor(
    readonly job: MeasureJob,
    /** Pages of other devices may not work on it. */
    readonly device: TabDevice,
    private readonly onEvent: (event: MeasureEvent) => void,
    private readonly pausedEveryMs: number,
  ) {
    this.open = new Set(job.models.map(({ id }) => id));
    this.ended = new Promise((resolve) => (this.finish = resolve));
  }

  end(lost: string | undefined): void {
    this.over = true;
    this.work();
    this.finish(lost);
  }

  /** Tells that nothing happens, now and from time to time. */
  wait(reason: string): void {
    this.work();
    const tell = (): void => this.onEvent({ type: 'paused', reason });
    tell();
    this.pause = setInterval(tell, this.pausedEveryMs);
  }

  /** Ends what `wait` began. */
  work(): void {
    clearInterval(this.pause);
    this.pause = undefined;
  }

  get waiting(): boolean {
    return this.pause !== undefined;
  }

  /** What to tell a tab that begins with what is left; undefined where the last model has cost too many tabs. */
  begin(references: WorkOrder['references'], runtimeUrl: string): Order | undefined {
    if (this.current !== undefined && this.open.has(this.current)) {
      const losses = (this.losses.get(this.current) ?? 0) + 1;
      this.losses.set(this.current, losses);
      if (losses >= MAX_LOSSES) return undefined;
    }
    this.attempt = randomUUID();
    this.told = 0;
    const { settings, protocol, seed, models } = this.job;
    return {
      type: 'work',
      attempt: this.attempt,
      settings,
      protocol,
      seed,
      models: models
        .filter(({ id }) => this.open.has(id))
        .map(({ id, hash, onnx }) => ({ id, hash, bytes: onnx.byteLength })),
      references,
      runtimeUrl,
    };
  }

  /** An event of the current attempt. */
  take(event: TabEvent): void {
    if (event.type === 'lost') return this.end(event.reason);
    // The page itself is paused: the executor tells that again by itself.
    if (event.type === 'paused') return this.wait(event.reason);
    this.work();
    if (event.type === 'step') this.current = event.id;
    if (event.type === 'result' || event.type === 'failed') {
      // Of a model that is settled nothing more is taken.
      if (!this.open.delete(event.id)) return;
    }
    this.onEvent(event);
    if (event.type === 'done') this.end(undefined);
  }
}
