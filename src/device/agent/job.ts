/** One job of an agent, and all it has told: numbered, and written down before anybody hears of it. */
import type { Logger } from '../../util/logger.js';
import type { AgentEvent, JobRequest, NumberedEvent } from './wire.js';

/** A job as it was written down. */
export interface StoredJob {
  readonly id: string;
  readonly request: JobRequest;
  readonly events: readonly NumberedEvent[];
}

/** Keeps jobs over a restart of the agent. What it throws is told to the logger; the jobs go on. */
export interface Journal {
  load(): Promise<StoredJob[]>;
  begin(id: string, request: JobRequest): Promise<void>;
  append(id: string, event: NumberedEvent): Promise<void>;
  remove(id: string): Promise<void>;
}

/** For agents that need not outlive a restart. */
export const noJournal: Journal = {
  load: () => Promise.resolve([]),
  begin: () => Promise.resolve(),
  append: () => Promise.resolve(),
  remove: () => Promise.resolve(),
};

export type Listener = (event: NumberedEvent) => void;
export type End = Extract<AgentEvent, { type: 'end' }>;

/** One job with what it told. */
export class Job {
  readonly events: NumberedEvent[] = [];
  readonly listeners = new Set<Listener>();
  /** Fires when the job is to stop; its reason is the `end` event to tell. */
  readonly stop = new AbortController();
  /** How many are carried out before it, as it was told last. */
  ahead = -1;
  /** Runs while nobody listens. */
  idle: NodeJS.Timeout | undefined;
  private writing: Promise<void>;
  private told = 0;
  private warned = false;
  private forgotten = false;

  constructor(
    readonly id: string,
    readonly request: JobRequest,
    private readonly journal: Journal,
    private readonly logger: Logger,
    stored: readonly NumberedEvent[] = [],
  ) {
    this.events.push(...stored);
    this.told = stored.length;
    this.writing = stored.length > 0 ? Promise.resolve() : this.keep(() => journal.begin(id, request));
  }

  get short(): string {
    return this.id.slice(0, 8);
  }

  get ended(): boolean {
    return this.events.at(-1)?.event.type === 'end';
  }

  /** Writing must not fail the job: what is told is at least in memory. */
  private async keep(write: () => Promise<void>): Promise<void> {
    if (this.forgotten) return;
    try {
      await write();
    } catch (error) {
      if (!this.warned) this.logger.warn(`Cannot keep job ${this.short}: ${(error as Error).message}`);
      this.warned = true;
    }
  }

  /**
   * Written first, told then: whoever has heard of an event finds it, with its number, also after a restart. Nothing
   * follows an `end`.
   */
  tell(event: AgentEvent): Promise<void> {
    if (this.told < 0) return this.writing;
    const numbered = { n: ++this.told, event };
    if (event.type === 'end') this.told = -1;
    this.writing = this.writing
      .then(() => this.keep(() => this.journal.append(this.id, numbered)))
      .then(() => {
        this.events.push(numbered);
        for (const listener of this.listeners) listener(numbered);
      });
    return this.writing;
  }

  /** Removes what is written, and writes nothing more. */
  forget(): void {
    clearTimeout(this.idle);
    this.forgotten = true;
    this.writing = this.writing.then(() => this.journal.remove(this.id)).catch(() => undefined);
  }

  /** Resolves when everything that was told is written. */
  settled(): Promise<void> {
    return this.writing;
  }

  end(outcome: End['outcome'], reason: string | null = null): Promise<void> {
    return this.tell({ type: 'end', outcome, reason });
  }
}
