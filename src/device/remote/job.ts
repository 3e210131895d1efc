/** One job on an agent, from its submission to its last event, over as many connections as that takes. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { parseJson } from '../../util/files.js';
import type { Logger } from '../../util/logger.js';
import { numberedEventSchema, type AgentEvent, type JobRequest, type NumberedEvent } from '../agent/wire.js';
import type { MeasureEvent, MeasureJob, ModelPayload } from '../transport.js';
import { RefusedError, UnreachableError, type AgentClient } from './http.js';
import { Patience } from './retry.js';

export interface RemoteJobOptions {
  readonly client: AgentClient;
  /** Key of the device's fingerprint. */
  readonly device: string;
  /** How messages call the device. */
  readonly name: string;
  readonly patienceMs: number;
  readonly logger: Logger;
}

type End = Extract<AgentEvent, { type: 'end' }>;

/** A model that was at work each time when the agent went away so often is to blame. */
const MAX_STRIKES = 3;
/** Times that a model may arrive damaged. */
const MAX_DAMAGED = 3;
const GOODBYE_MS = 3000;

const anything = z.unknown();

/** One submission. */
class Submission {
  readonly id = randomUUID();
  /** Number of the last event that was heard. */
  private after = 0;
  private uploads: Promise<void> = Promise.resolve();
  private failure: unknown;
  private readonly stop = new AbortController();

  constructor(
    private readonly options: RemoteJobOptions,
    private readonly job: MeasureJob,
    private readonly onEvent: (event: MeasureEvent) => void,
    private readonly outer: AbortSignal,
  ) {}

  private get path(): string {
    return `/v1/jobs/${this.id}`;
  }

  async run(): Promise<End> {
    const { client, device, patienceMs, logger } = this.options;
    const { settings, protocol, seed, models } = this.job;
    const signal = AbortSignal.any([this.stop.signal, this.outer]);
    const patience = new Patience(patienceMs, logger);
    const request: JobRequest = {
      device,
      settings,
      protocol,
      seed,
      models: models.map(({ id, hash }) => ({ id, hash })),
    };
    try {
      await patience.until(() => client.json('PUT', this.path, request, anything, signal), signal);
      return await this.follow(patience, signal);
    } catch (error) {
      // What stopped an upload says more than that the job was stopped.
      throw this.failure ?? error;
    } finally {
      this.stop.abort();
      await this.uploads;
      await this.goodbye();
    }
  }

  /** The agent need not keep the job any longer. It does so by itself where this does not arrive. */
  private async goodbye(): Promise<void> {
    try {
      await this.options.client.json(
        'DELETE',
        this.path,
        undefined,
        anything,
        AbortSignal.timeout(GOODBYE_MS),
      );
    } catch {
      // Nothing depends on it.
    }
  }

  private async follow(patience: Patience, signal: AbortSignal): Promise<End> {
    for (;;) {
      try {
        for await (const line of this.options.client.lines(
          `${this.path}/events?after=${this.after}`,
          signal,
        )) {
          patience.renew();
          const end = this.hear(parseJson(line, numberedEventSchema, 'an event of the agent'), signal);
          if (end !== undefined) return end;
        }
        // The agent was stopped in good order.
        throw new UnreachableError('Cannot hear from the agent: it ended the connection');
      } catch (error) {
        if (error instanceof RefusedError && error.status === 404)
          return {
            type: 'end',
            outcome: 'interrupted',
            reason: 'the agent knows nothing of the job any more',
          };
        await patience.wait(error, signal);
      }
    }
  }

  private hear({ n, event }: NumberedEvent, signal: AbortSignal): End | undefined {
    if (n !== this.after + 1)
      throw new UserError(`Cannot follow a job: event ${this.after + 1} must come next: it is event ${n}`);
    this.after = n;
    switch (event.type) {
      case 'queued':
        if (event.ahead > 0)
          this.options.logger.info(
            `Waiting for device "${this.options.name}": ${event.ahead} ${event.ahead === 1 ? 'job' : 'jobs'} ahead`,
          );
        return undefined;
      case 'send':
        this.uploads = this.sendAll(event.hashes, signal);
        return undefined;
      case 'end':
        return event;
      default:
        this.onEvent(event);
        return undefined;
    }
  }

  /** Never rejects: what goes wrong for good ends the job. */
  private async sendAll(hashes: readonly string[], signal: AbortSignal): Promise<void> {
    const patience = new Patience(this.options.patienceMs, this.options.logger);
    const byHash = new Map(this.job.models.map((model) => [model.hash, model]));
    try {
      for (const hash of hashes) {
        const model = byHash.get(hash);
        if (model === undefined)
          throw new UserError('Cannot send a model: the agent wants one that is not in the job');
        await this.send(model, patience, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.failure = error;
      this.stop.abort();
    }
  }

  private async send({ hash, onnx }: ModelPayload, patience: Patience, signal: AbortSignal): Promise<void> {
    for (let damaged = 0; ;) {
      try {
        await patience.until(() => this.options.client.upload(`/v1/models/${hash}`, onnx, signal), signal);
        return;
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        // 409: it is there, or no longer wanted. 413, 422: the job's events tell that it has failed.
        if ([409, 413, 422].includes(error.status)) return;
        if (error.status !== 400 || ++damaged >= MAX_DAMAGED) throw error;
      }
    }
  }
}

/**
 * See `DeviceConnection.run`. Where the agent was restarted, or gave the job up, what is left of it is submitted again.
 * Throws UserError where the agent cannot be reached for longer than patience lasts, or refuses.
 */
export async function runRemotely(
  job: MeasureJob,
  onEvent: (event: MeasureEvent) => void,
  signal: AbortSignal | undefined,
  options: RemoteJobOptions,
): Promise<string | undefined> {
  const outer = signal ?? new AbortController().signal;
  const finished = new Set<string>();
  const strikes = new Map<string, number>();
  for (;;) {
    if (outer.aborted) return 'it was stopped';
    const models = job.models.filter(({ id }) => !finished.has(id));
    let current = '';
    let end: End;
    try {
      const hear = (event: MeasureEvent): void => {
        if (event.type === 'step') current = event.id;
        if (event.type === 'result' || event.type === 'failed') finished.add(event.id);
        onEvent(event);
      };
      end = await new Submission(options, { ...job, models }, hear, outer).run();
    } catch (error) {
      if (outer.aborted) return 'it was stopped';
      throw error;
    }
    if (end.outcome === 'done') return undefined;
    const reason = end.reason ?? 'it did not say why';
    if (end.outcome === 'lost') return reason;
    if (job.models.every(({ id }) => finished.has(id))) return undefined;
    const count = (strikes.get(current) ?? 0) + 1;
    strikes.set(current, count);
    if (count >= MAX_STRIKES) return `${reason} (${count} times at the same place)`;
    options.logger.warn(
      `Device "${options.name}" stopped (${reason}): asking again for ${job.models.length - finished.size} models`,
    );
  }
}
