/**
 * The jobs of an agent: one is carried out, the others wait in the order in which they came. What a job tells is kept and
 * numbered, so that a client whose connection broke goes on where it was, and a client that asks twice gets one job. It
 * knows neither HTTP nor what carries jobs out.
 */
import type { Executor } from '../executor.js';
import { deviceKey } from '../fingerprint.js';
import type { DeviceConnection, ModelPayload } from '../transport.js';
import { UserError } from '../../util/errors.js';
import type { Logger } from '../../util/logger.js';
import { Countdown } from './countdown.js';
import { Delivery, type ModelSupply } from './delivery.js';
import { Job, noJournal, type End, type Journal, type Listener } from './job.js';
import type { JobRequest } from './wire.js';

export interface QueueLimits {
  /** Jobs that wait or run. */
  readonly maxJobs: number;
  /** A job may take this for each of its models, and once more. */
  readonly maxModelMs: number;
  /** The device is not kept waiting for models longer than this without any arriving. */
  readonly uploadIdleMs: number;
  /** A job that nobody has listened to for so long is stopped. */
  readonly abandonMs: number;
  /** And what it told is forgotten after so long. */
  readonly forgetMs: number;
}

export const defaultQueueLimits: QueueLimits = {
  maxJobs: 16,
  maxModelMs: 5 * 60_000,
  uploadIdleMs: 60_000,
  abandonMs: 10 * 60_000,
  forgetMs: 24 * 3_600_000,
};

export interface JobQueueOptions {
  readonly executor: Executor;
  readonly models: ModelSupply;
  readonly limits: QueueLimits;
  readonly logger: Logger;
  readonly journal?: Journal;
}

/** The queue is full; asking again later may help. */
export class QueueFullError extends UserError {
  override readonly name = 'QueueFullError';
}

/** Another job has this id. */
export class JobConflictError extends UserError {
  override readonly name = 'JobConflictError';
}

/** Jobs that are over and were not asked to be forgotten. */
const MAX_JOBS_OVER = 64;

/** The connection; undefined, and the connection closed when it comes, where `signal` fires before. */
async function unlessStopped(
  connecting: Promise<DeviceConnection>,
  signal: AbortSignal,
): Promise<DeviceConnection | undefined> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const first = await Promise.race([connecting, stopped]);
  if (first === undefined)
    connecting.then(
      (connection) => connection.close(),
      () => undefined,
    );
  return first;
}

export class JobQueue {
  private readonly jobs = new Map<string, Job>();
  private waiting: Job[] = [];
  private running: Job | undefined;
  private delivery: Delivery | undefined;
  private working: Promise<void> = Promise.resolve();
  private closed = false;
  private readonly journal: Journal;

  constructor(private readonly options: JobQueueOptions) {
    this.journal = options.journal ?? noJournal;
  }

  /** Takes over the jobs that an earlier agent left. What was not finished is interrupted: its client asks for the rest. */
  async restore(): Promise<void> {
    for (const { id, request, events } of await this.journal.load()) {
      const job = new Job(id, request, this.journal, this.options.logger, events);
      this.jobs.set(id, job);
      if (!job.ended) await job.end('interrupted', 'the agent was restarted');
      this.watch(job);
    }
  }

  /**
   * Puts a job at the end of the queue; false where it is there already. Throws JobConflictError where another one has its
   * id, QueueFullError.
   */
  submit(id: string, request: JobRequest): boolean {
    const known = this.jobs.get(id);
    if (known !== undefined) {
      if (JSON.stringify(known.request) === JSON.stringify(request)) return false;
      throw new JobConflictError(`Cannot take job ${id}: another one has this id`);
    }
    const { limits, logger } = this.options;
    const open = this.waiting.length + (this.running === undefined ? 0 : 1);
    if (this.closed || open >= limits.maxJobs) {
      throw new QueueFullError(
        this.closed
          ? 'Cannot take a job: the agent is stopping'
          : `Cannot take a job: at most ${limits.maxJobs} may wait: there are ${open}`,
      );
    }
    this.makeRoom();
    const job = new Job(id, request, this.journal, logger);
    this.jobs.set(id, job);
    this.waiting.push(job);
    this.watch(job);
    logger.info(`Job ${job.short}: ${request.models.length} model(s), ${open} ahead`);
    this.tellPositions();
    this.next();
    return true;
  }

  /**
   * Hands over the events behind number `after`, those of the past at once, until the function returned is called. `onEnd` is
   * called when the job has told its last event, whatever its number.
   * `undefined` where there is no such job, or no event behind `after` will ever come.
   */
  follow(
    id: string,
    after: number,
    listener: Listener,
    onEnd = (): void => undefined,
  ): (() => void) | undefined {
    const job = this.jobs.get(id);
    if (job === undefined || (job.ended && after >= job.events.length)) return undefined;
    clearTimeout(job.idle);
    // Events on their way to the journal come later, through the listeners.
    for (const event of job.events.slice(after)) listener(event);
    if (job.ended) onEnd();
    const late: Listener = (event) => {
      if (event.n > after) listener(event);
      if (event.event.type === 'end') onEnd();
    };
    job.listeners.add(late);
    return () => {
      job.listeners.delete(late);
      if (job.listeners.size === 0) this.watch(job);
    };
  }

  /** Stops a job that is not finished, and forgets it. False where there is none. */
  drop(id: string): boolean {
    const job = this.jobs.get(id);
    if (job === undefined) return false;
    this.interrupt(job, 'its client stopped it');
    this.forget(job);
    return true;
  }

  /** Whether the job in turn waits for this model. */
  waitsFor(hash: string): boolean {
    return this.delivery?.waitsFor(hash) === true;
  }

  /** Some bytes of a model have come. */
  modelProgress(): void {
    this.delivery?.progress();
  }

  modelArrived(hash: string): void {
    this.delivery?.settle(hash);
  }

  /** A model that is not accepted has failed in the job that waits for it. */
  modelRefused(hash: string, reason: string): void {
    const { delivery } = this;
    if (delivery?.waitsFor(hash) !== true) return;
    for (const model of delivery.job.request.models) {
      if (model.hash === hash) void delivery.job.tell({ type: 'failed', id: model.id, reason });
    }
    delivery.settle(hash);
  }

  /** Interrupts everything; resolves when all of it is written down. */
  async close(): Promise<void> {
    this.closed = true;
    for (const job of this.jobs.values()) {
      clearTimeout(job.idle);
      this.interrupt(job, 'the agent was stopped');
    }
    await this.working;
    for (const job of this.jobs.values()) await job.settled();
  }

  /** Starts the clock of a job that nobody listens to: it is stopped first, and forgotten later. */
  private watch(job: Job): void {
    clearTimeout(job.idle);
    const { abandonMs, forgetMs } = this.options.limits;
    job.idle = setTimeout(() => {
      if (!job.ended) this.interrupt(job, `nobody asked for it for ${abandonMs / 1000} s`);
      job.idle = setTimeout(() => this.forget(job), forgetMs);
      job.idle.unref();
    }, abandonMs);
    job.idle.unref();
  }

  private interrupt(job: Job, reason: string): void {
    const end: End = { type: 'end', outcome: 'interrupted', reason };
    job.stop.abort(end);
    if (!this.waiting.includes(job)) return;
    this.waiting = this.waiting.filter((other) => other !== job);
    void job.tell(end);
    this.tellPositions();
  }

  /** Forgets the oldest of the jobs that are over, where there are many. */
  private makeRoom(): void {
    const over = [...this.jobs.values()].filter((job) => job.ended && job.listeners.size === 0);
    for (const job of over.slice(0, Math.max(0, over.length - MAX_JOBS_OVER))) this.forget(job);
  }

  private forget(job: Job): void {
    this.jobs.delete(job.id);
    job.forget();
  }

  private tellPositions(): void {
    const first = this.running === undefined ? 0 : 1;
    this.waiting.forEach((job, i) => {
      const ahead = first + i;
      if (job.ahead !== ahead) void job.tell({ type: 'queued', ahead });
      job.ahead = ahead;
    });
  }

  private next(): void {
    if (this.running !== undefined || this.closed) return;
    const job = this.waiting.shift();
    if (job === undefined) return;
    this.running = job;
    this.working = this.carryOut(job).finally(() => {
      this.running = undefined;
      this.delivery = undefined;
      this.tellPositions();
      this.next();
    });
  }

  /** From a job's turn to its `end`. Never rejects. */
  private async carryOut(job: Job): Promise<void> {
    const { logger, limits, models } = this.options;
    const { signal } = job.stop;
    const release = models.hold(job.request.models.map(({ hash }) => hash));
    const stopped = (): End | undefined => (signal.aborted ? (signal.reason as End) : undefined);
    let end: End;
    try {
      const late = await this.collect(job);
      if (late) job.stop.abort({ type: 'end', outcome: 'interrupted', reason: 'its models did not come' });
      end = stopped() ?? (await this.run(job, limits));
    } catch (error) {
      if (!signal.aborted) await job.tell({ type: 'unusable', reason: (error as Error).message });
      end = { type: 'end', outcome: 'done', reason: null };
    } finally {
      release();
    }
    end = stopped() ?? end;
    await job.tell(end);
    logger.info(`Job ${job.short}: ${end.outcome}${end.reason === null ? '' : ` (${end.reason})`}`);
  }

  /** Has the models sent that are not here. Returns whether that took too long. */
  private async collect(job: Job): Promise<boolean> {
    const { limits } = this.options;
    const hashes = [...new Set(job.request.models.map(({ hash }) => hash))];
    const missing: string[] = [];
    for (const hash of hashes) if (!(await this.isIntact(hash))) missing.push(hash);
    if (missing.length === 0) return false;
    this.delivery = new Delivery(job, missing, limits.uploadIdleMs);
    await job.tell({ type: 'send', hashes: missing });
    return this.delivery.late;
  }

  /** Disks lose bits, and an agent's folder is kept for months. */
  private async isIntact(hash: string): Promise<boolean> {
    const { models, logger } = this.options;
    if (!models.has(hash)) return false;
    try {
      await models.read(hash);
      return true;
    } catch (error) {
      logger.warn(`${(error as Error).message}; it is asked for again`);
      return false;
    }
  }

  private async run(job: Job, { maxModelMs }: QueueLimits): Promise<End> {
    const { executor, models, logger } = this.options;
    const { settings, protocol, seed, models: named, device } = job.request;
    const payloads: ModelPayload[] = [];
    // Those that were refused have failed.
    for (const { id, hash } of named) {
      if (models.has(hash)) payloads.push({ id, hash, onnx: await models.read(hash) });
    }
    const done: End = { type: 'end', outcome: 'done', reason: null };
    if (payloads.length === 0) return done;
    const limitMs = maxModelMs * (payloads.length + 1);
    const countdown = new Countdown(limitMs, () => {
      job.stop.abort({ type: 'end', outcome: 'lost', reason: `it took more than ${limitMs / 1000} s` });
    });
    let connection: DeviceConnection | undefined;
    try {
      connection = await unlessStopped(executor.connect(settings, logger), job.stop.signal);
      if (connection === undefined) return done;
      if (deviceKey(connection.fingerprint) !== device)
        throw new UserError('it is no longer what it was when it was asked: connect to it again');
      const timeoutMs = Math.min(protocol.timeoutMs, maxModelMs);
      const lost = await connection.run(
        { settings, protocol: { ...protocol, timeoutMs }, seed, models: payloads },
        (event) => {
          if (event.type === 'paused') countdown.hold();
          else countdown.go();
          void job.tell(event);
        },
        job.stop.signal,
      );
      return lost === undefined ? done : { type: 'end', outcome: 'lost', reason: lost };
    } finally {
      countdown.hold();
      await connection?.close();
    }
  }
}
