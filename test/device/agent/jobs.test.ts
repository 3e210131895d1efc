/** The queue by itself: what carries jobs out is a stand-in that does as the test says. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { ModelSupply } from '../../../src/device/agent/delivery.js';
import { noJournal, type Journal, type StoredJob } from '../../../src/device/agent/job.js';
import {
  defaultQueueLimits,
  JobConflictError,
  JobQueue,
  QueueFullError,
  type JobQueueOptions,
} from '../../../src/device/agent/jobs.js';
import type { AgentEvent, JobRequest, NumberedEvent } from '../../../src/device/agent/wire.js';
import { deviceKey, localFingerprint } from '../../../src/device/fingerprint.js';
import { runtimeSettings } from '../../../src/device/profile.js';
import type { MeasureEvent, MeasureJob } from '../../../src/device/transport.js';
import { UserError } from '../../../src/util/errors.js';
import { silentLogger } from '../../../src/util/logger.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import { localProfile } from '../support/agent.js';

const settings = runtimeSettings(localProfile);
const fingerprint = localFingerprint(settings);
const HASHES = ['a', 'b', 'c'].map((digit) => digit.repeat(64));

const request = (ids: readonly string[], change: Partial<JobRequest> = {}): JobRequest => ({
  device: deviceKey(fingerprint),
  settings,
  protocol: briefProtocol,
  seed: 0,
  models: ids.map((id, i) => ({ id, hash: HASHES[i % HASHES.length]! })),
  ...change,
});

/** A device that the test leads: each run waits until the test ends it. */
class Puppet {
  readonly runs: {
    readonly job: MeasureJob;
    readonly tell: (event: MeasureEvent) => void;
    readonly end: (lost?: string) => void;
  }[] = [];
  closed = 0;
  refusal: Error | undefined;

  readonly executor = {
    connect: (): Promise<never> | ReturnType<Puppet['connection']> =>
      this.refusal === undefined ? this.connection() : Promise.reject(this.refusal),
  };

  private connection(): Promise<{
    fingerprint: typeof fingerprint;
    run: (
      job: MeasureJob,
      onEvent: (event: MeasureEvent) => void,
      signal: AbortSignal | undefined,
    ) => Promise<string | undefined>;
    close: () => Promise<void>;
  }> {
    return Promise.resolve({
      fingerprint,
      run: (job, tell, signal) =>
        new Promise((resolve) => {
          signal?.addEventListener('abort', () => resolve('it was stopped'));
          this.runs.push({ job, tell, end: resolve });
        }),
      close: () => {
        this.closed++;
        return Promise.resolve();
      },
    });
  }

  /** The run with this number, as soon as it has begun. */
  async run(index: number): Promise<Puppet['runs'][number]> {
    while (this.runs.length <= index) await sleep(1);
    return this.runs[index]!;
  }
}

/** Models in memory; those of `here` are there. */
function supply(
  here: readonly string[] = HASHES,
): ModelSupply & { readonly held: string[]; add(hash: string): void } {
  const known = new Set(here);
  const held: string[] = [];
  return {
    held,
    add: (hash) => void known.add(hash),
    has: (hash) => known.has(hash),
    read: (hash) => Promise.resolve(new TextEncoder().encode(hash)),
    hold: (hashes) => {
      held.push(...hashes);
      return () => void held.splice(0);
    },
  };
}

/** What a follower heard. */
function follow(
  queue: JobQueue,
  id: string,
  after = 0,
): { heard: NumberedEvent[]; stop: () => void; ended: Promise<void> } {
  const heard: NumberedEvent[] = [];
  let done: () => void;
  const ended = new Promise<void>((resolve) => (done = resolve));
  const stop = queue.follow(id, after, (event) => {
    heard.push(event);
    if (event.event.type === 'end') done();
  });
  if (stop === undefined) throw new Error('there is no such job');
  return { heard, stop, ended };
}

const types = (heard: readonly NumberedEvent[]): string[] => heard.map(({ event }) => event.type);
const last = (heard: readonly NumberedEvent[]): AgentEvent | undefined => heard.at(-1)?.event;

/** A journal in memory, which a test may look into, or break. */
function memoryJournal(): Journal & {
  readonly jobs: Map<string, StoredJob & { events: NumberedEvent[] }>;
  broken: boolean;
} {
  const jobs = new Map<string, StoredJob & { events: NumberedEvent[] }>();
  const journal = {
    jobs,
    broken: false,
    check: () => {
      if (journal.broken) throw new UserError('the disk is full');
    },
    load: () => Promise.resolve([...jobs.values()].map((job) => ({ ...job, events: [...job.events] }))),
    begin: async (id: string, job: JobRequest) => {
      await sleep(0);
      journal.check();
      jobs.set(id, { id, request: job, events: [] });
    },
    append: async (id: string, event: NumberedEvent) => {
      await sleep(0);
      journal.check();
      jobs.get(id)?.events.push(event);
    },
    remove: (id: string) => {
      jobs.delete(id);
      return Promise.resolve();
    },
  };
  return journal;
}

const open: JobQueue[] = [];
function createQueue(options: Partial<JobQueueOptions> & { puppet?: Puppet } = {}): {
  queue: JobQueue;
  puppet: Puppet;
} {
  const { puppet = new Puppet(), ...rest } = options;
  const queue = new JobQueue({
    executor: puppet.executor,
    models: supply(),
    limits: defaultQueueLimits,
    logger: silentLogger,
    journal: noJournal,
    ...rest,
  });
  open.push(queue);
  return { queue, puppet };
}
afterEach(async () => {
  for (const queue of open.splice(0)) await queue.close();
});

describe('the queue of an agent', () => {
  it('carries out one job at a time, in the order in which they came, and tells the others how many are ahead', async () => {
    const { queue, puppet } = createQueue();
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    for (const id of ids) expect(queue.submit(id, request([`model of ${id}`]))).toBe(true);
    const followers = ids.map((id) => follow(queue, id));
    for (const [i, { ended }] of followers.entries()) {
      const run = await puppet.run(i);
      expect(run.job.models.map(({ id }) => id)).toEqual([`model of ${ids[i]!}`]);
      expect(puppet.runs).toHaveLength(i + 1);
      run.end();
      await ended;
    }
    const ahead = followers.map(({ heard }) =>
      heard.flatMap(({ event }) => (event.type === 'queued' ? [event.ahead] : [])),
    );
    expect(ahead[0]).toEqual([0]);
    expect(ahead[1]!.at(0)).toBe(1);
    expect(ahead[2]!.at(0)).toBe(2);
    expect(ahead[2]!.at(-1)).toBeLessThan(2);
    for (const { heard } of followers) {
      expect(last(heard)).toEqual({ type: 'end', outcome: 'done', reason: null });
    }
    expect(puppet.closed).toBe(3);
  });

  it('takes the same request twice for one, and another under the same id for a conflict', async () => {
    const { queue, puppet } = createQueue();
    const id = randomUUID();
    expect(queue.submit(id, request(['a']))).toBe(true);
    expect(queue.submit(id, request(['a']))).toBe(false);
    expect(() => queue.submit(id, request(['b']))).toThrow(JobConflictError);
    (await puppet.run(0)).end();
    await follow(queue, id).ended;
    expect(queue.submit(id, request(['a']))).toBe(false);
    expect(puppet.runs).toHaveLength(1);
  });

  it('hands every event to every follower once, in order, wherever it begins (property)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ at: fc.nat(20), after: fc.nat(20) }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 20 }),
        async (joins, count) => {
          const { queue, puppet } = createQueue({ journal: memoryJournal() });
          const id = randomUUID();
          queue.submit(id, request(['a']));
          const run = await puppet.run(0);
          const followers: { after: number; heard: NumberedEvent[]; ended: Promise<void> }[] = [];
          for (let i = 0; i < count; i++) {
            for (const { at, after } of joins)
              if (at === i) followers.push({ after, ...follow(queue, id, after) });
            run.tell({ type: 'step', id: 'a', step: `${i}` });
            if (i % 3 === 0) await sleep(0);
          }
          run.end();
          const { heard: all, ended } = follow(queue, id);
          await ended;
          expect(all.map(({ n }) => n)).toEqual(all.map((_, i) => i + 1));
          for (const { after, heard } of followers) expect(heard).toEqual(all.slice(after));
          await queue.close();
        },
      ),
      { numRuns: 25 },
    );
  });

  it('asks for missing models when the job is in turn, and not before; refused ones have failed', async () => {
    const models = supply([HASHES[0]!]);
    const { queue, puppet } = createQueue({ models });
    const first = randomUUID();
    const second = randomUUID();
    queue.submit(first, request(['here']));
    queue.submit(second, request(['x', 'y', 'z', 'y again'].map((id) => id)));
    const { heard, ended } = follow(queue, second);
    const run = await puppet.run(0);
    expect(HASHES.map((hash) => queue.waitsFor(hash))).toEqual([false, false, false]);
    run.end();
    await follow(queue, first).ended;
    while (!types(heard).includes('send')) await sleep(1);
    expect(heard.find(({ event }) => event.type === 'send')?.event).toEqual({
      type: 'send',
      hashes: [HASHES[1], HASHES[2]],
    });
    expect(models.held).toContain(HASHES[2]);
    models.add(HASHES[1]!);
    queue.modelArrived(HASHES[1]!);
    expect(puppet.runs).toHaveLength(1);
    queue.modelRefused(HASHES[2]!, 'no model');
    (await puppet.run(1)).end();
    await ended;
    expect(puppet.runs[1]!.job.models.map(({ id }) => id)).toEqual(['x', 'y', 'y again']);
    expect(heard.map(({ event }) => event).filter(({ type }) => type === 'failed')).toEqual([
      { type: 'failed', id: 'z', reason: 'no model' },
    ]);
    expect(models.held).toEqual([]);
  });

  it('does not wait forever for models, and goes on with the next job', async () => {
    const { queue, puppet } = createQueue({
      models: supply([HASHES[0]!]),
      limits: { ...defaultQueueLimits, uploadIdleMs: 30 },
    });
    const slow = randomUUID();
    queue.submit(slow, request(['a', 'b']));
    queue.submit(randomUUID(), request(['next']));
    const { heard, ended } = follow(queue, slow);
    await ended;
    expect(last(heard)).toMatchObject({ outcome: 'interrupted', reason: 'its models did not come' });
    expect((await puppet.run(0)).job.models[0]!.id).toBe('next');
  });

  it('tells why a device was lost, that it cannot be used, and that it is another than it was', async () => {
    const { queue, puppet } = createQueue();
    const lost = randomUUID();
    queue.submit(lost, request(['a']));
    (await puppet.run(0)).end('it ended with code 7');
    const first = follow(queue, lost);
    await first.ended;
    expect(last(first.heard)).toEqual({ type: 'end', outcome: 'lost', reason: 'it ended with code 7' });

    const changed = randomUUID();
    queue.submit(changed, request(['a'], { device: '0'.repeat(16) }));
    const second = follow(queue, changed);
    await second.ended;
    expect(second.heard.find(({ event }) => event.type === 'unusable')?.event).toMatchObject({
      reason: expect.stringMatching(/no longer what it was/) as string,
    });
    expect(puppet.runs).toHaveLength(1);

    puppet.refusal = new UserError('no such provider');
    const unusable = randomUUID();
    queue.submit(unusable, request(['a']));
    const third = follow(queue, unusable);
    await third.ended;
    expect(types(third.heard).filter((type) => type !== 'queued')).toEqual(['unusable', 'end']);
  });

  it('stops a job that takes too long, but not one that is paused meanwhile', async () => {
    const { queue, puppet } = createQueue({ limits: { ...defaultQueueLimits, maxModelMs: 30 } });
    const id = randomUUID();
    queue.submit(id, request(['a']));
    const run = await puppet.run(0);
    expect(run.job.protocol.timeoutMs).toBe(30);
    run.tell({ type: 'paused', reason: 'hidden' });
    const { heard, ended } = follow(queue, id);
    await sleep(150);
    expect(types(heard)).not.toContain('end');
    run.tell({ type: 'step', id: 'a', step: 'round' });
    await ended;
    expect(last(heard)).toEqual({ type: 'end', outcome: 'lost', reason: 'it took more than 0.06 s' });
  });

  it('stops a job that nobody listens to, keeps what it told for a while, then forgets it', async () => {
    const journal = memoryJournal();
    const { queue, puppet } = createQueue({
      journal,
      limits: { ...defaultQueueLimits, abandonMs: 40, forgetMs: 250 },
    });
    const id = randomUUID();
    queue.submit(id, request(['a']));
    (await puppet.run(0)).tell({ type: 'step', id: 'a', step: 'load' });
    const listener = follow(queue, id);
    await sleep(120);
    expect(types(listener.heard)).not.toContain('end');
    listener.stop();
    await sleep(120);
    const late = follow(queue, id);
    expect(last(late.heard)).toMatchObject({
      outcome: 'interrupted',
      reason: 'nobody asked for it for 0.04 s',
    });
    late.stop();
    await sleep(400);
    expect(queue.follow(id, 0, () => undefined)).toBeUndefined();
    expect(journal.jobs.size).toBe(0);
  });

  it('drops a job that waits or runs, and forgets it; the next one runs', async () => {
    const { queue, puppet } = createQueue();
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    for (const id of ids) queue.submit(id, request([id]));
    await puppet.run(0);
    expect(queue.drop(ids[1]!)).toBe(true);
    expect(queue.drop(ids[0]!)).toBe(true);
    expect(queue.drop(ids[0]!)).toBe(false);
    expect((await puppet.run(1)).job.models[0]!.id).toBe(ids[2]);
    expect(puppet.runs).toHaveLength(2);
  });

  it('takes no more jobs than it may, and none while it stops', async () => {
    const { queue, puppet } = createQueue({ limits: { ...defaultQueueLimits, maxJobs: 2 } });
    queue.submit(randomUUID(), request(['a']));
    queue.submit(randomUUID(), request(['b']));
    expect(() => queue.submit(randomUUID(), request(['c']))).toThrow(QueueFullError);
    (await puppet.run(0)).end();
    await puppet.run(1);
    queue.submit(randomUUID(), request(['d']));
    await queue.close();
    expect(() => queue.submit(randomUUID(), request(['e']))).toThrow(QueueFullError);
  });

  it('keeps what 64 jobs told, and forgets the oldest then', async () => {
    const { queue, puppet } = createQueue();
    const ids = Array.from({ length: 66 }, () => randomUUID());
    for (const [i, id] of ids.entries()) {
      queue.submit(id, request([id]));
      (await puppet.run(i)).end();
      const { ended, stop } = follow(queue, id);
      await ended;
      stop();
    }
    expect(ids.map((id) => queue.drop(id))).toEqual(ids.map((_, i) => i >= 1));
  });

  it('is found again by the next agent: all that was told, and that the rest was interrupted', async () => {
    const journal = memoryJournal();
    const { queue, puppet } = createQueue({ journal });
    const ids = [randomUUID(), randomUUID()];
    for (const id of ids) queue.submit(id, request(['a', 'b']));
    const run = await puppet.run(0);
    run.tell({ type: 'step', id: 'a', step: 'load' });
    run.tell({ type: 'failed', id: 'a', reason: 'odd' });
    const { heard } = follow(queue, ids[0]!);
    while (last(heard)?.type !== 'failed') await sleep(1);
    // The first agent is killed here: nothing more of it reaches the journal.
    const next = createQueue({ journal: { ...journal, load: () => journal.load() } }).queue;
    await next.restore();
    const again = follow(next, ids[0]!, 2);
    await again.ended;
    expect(again.heard.slice(0, -1)).toEqual(heard.slice(2));
    expect(last(again.heard)).toEqual({
      type: 'end',
      outcome: 'interrupted',
      reason: 'the agent was restarted',
    });
    expect(follow(next, ids[1]!).heard.at(-1)?.event).toMatchObject({ outcome: 'interrupted' });
    expect(next.submit(ids[0]!, request(['a', 'b']))).toBe(false);
  });

  it('goes on where the journal cannot be written', async () => {
    const journal = memoryJournal();
    journal.broken = true;
    const warnings: string[] = [];
    const { queue, puppet } = createQueue({
      journal,
      logger: { ...silentLogger, warn: (line) => void warnings.push(line) },
    });
    const id = randomUUID();
    queue.submit(id, request(['a']));
    (await puppet.run(0)).end();
    const { heard, ended } = follow(queue, id);
    await ended;
    expect(last(heard)).toMatchObject({ outcome: 'done' });
    expect(warnings).toEqual([`Cannot keep job ${id.slice(0, 8)}: the disk is full`]);
  });
});
