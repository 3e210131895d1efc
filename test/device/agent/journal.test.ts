import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openJournal } from '../../../src/device/agent/journal.js';
import type { JobRequest, NumberedEvent } from '../../../src/device/agent/wire.js';
import { runtimeSettings } from '../../../src/device/profile.js';
import { silentLogger } from '../../../src/util/logger.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import { listeningLogger, localProfile } from '../support/agent.js';

const request: JobRequest = {
  device: '0123456789abcdef',
  settings: runtimeSettings(localProfile),
  protocol: briefProtocol,
  seed: 3,
  models: [{ id: 'a', hash: 'a'.repeat(64) }],
};
const events = (count: number): NumberedEvent[] =>
  Array.from({ length: count }, (_, i) => ({ n: i + 1, event: { type: 'step', id: 'a', step: `${i}` } }));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-journal-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function written(id: string, list: readonly NumberedEvent[]): Promise<string> {
  const journal = await openJournal(folder, silentLogger);
  await journal.begin(id, request);
  for (const event of list) await journal.append(id, event);
  return join(folder, `${id}.jsonl`);
}

describe('the journal of an agent', () => {
  it('has what was written, and forgets what is removed', async () => {
    const id = randomUUID();
    await written(id, events(3));
    const journal = await openJournal(folder, silentLogger);
    expect(await journal.load()).toEqual([{ id, request, events: events(3) }]);
    await journal.remove(id);
    await journal.remove(id);
    expect(await journal.load()).toEqual([]);
  });

  it('cut off anywhere, has the events before, and goes on behind them (property)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(4), fc.double({ min: 0, max: 1, noNaN: true }), async (count, share) => {
        const id = randomUUID();
        const path = await written(id, events(count));
        const whole = await readFile(path);
        const cut = whole.subarray(0, Math.round(share * whole.length));
        await writeFile(path, cut);
        const lines = cut.toString('utf8').split('\n').length - 1;
        const journal = await openJournal(folder, silentLogger);
        const [job] = (await journal.load()).filter((other) => other.id === id);
        if (lines === 0) {
          expect(job).toBeUndefined();
          return;
        }
        expect(job!.events).toEqual(events(lines - 1));
        const next: NumberedEvent = { n: lines, event: { type: 'done' } };
        await journal.append(id, next);
        const again = (await journal.load()).find((other) => other.id === id);
        expect(again!.events).toEqual([...events(lines - 1), next]);
        await journal.remove(id);
      }),
      { numRuns: 40 },
    );
  });

  it('leaves out what follows a gap, deletes jobs that it cannot read, and touches nothing else', async () => {
    const gap = randomUUID();
    await written(
      gap,
      events(5).filter(({ n }) => n !== 3),
    );
    const odd = randomUUID();
    await written(odd, []);
    await appendFile(join(folder, `${odd}.jsonl`), '{"n":1,"event":{"type":"no such"}}\n');
    await writeFile(join(folder, 'notes.jsonl'), 'mine');
    await mkdir(join(folder, 'folder'));
    const logger = listeningLogger();
    const jobs = await (await openJournal(folder, logger)).load();
    expect(jobs).toEqual([{ id: gap, request, events: events(2) }]);
    expect(logger.lines).toHaveLength(1);
    expect(logger.lines[0]).toMatch(new RegExp(`${odd}.*; deleted$`));
    expect((await readdir(folder)).sort()).toEqual([`${gap}.jsonl`, 'folder', 'notes.jsonl'].sort());
  });
});
