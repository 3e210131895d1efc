/** Jobs as files of JSON lines: `ID.jsonl` with the request first, then what the job told. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { appendJsonLine, fileProblem, readJsonLines, writeAtomic } from '../../util/files.js';
import type { Logger } from '../../util/logger.js';
import type { Journal, StoredJob } from './job.js';
import { jobIdSchema, jobRequestSchema, numberedEventSchema, type NumberedEvent } from './wire.js';

const SUFFIX = '.jsonl';
const lineSchema = z.union([z.strictObject({ job: jobRequestSchema }), numberedEventSchema]);

/** The events from number 1 to the first gap: on a full disk some may be missing. */
function withoutGaps(events: readonly NumberedEvent[]): NumberedEvent[] {
  const gap = events.findIndex(({ n }, i) => n !== i + 1);
  return gap < 0 ? [...events] : events.slice(0, gap);
}

async function readJob(path: string, id: string): Promise<StoredJob | undefined> {
  const [first, ...rest] = await readJsonLines(path, lineSchema);
  if (first === undefined || !('job' in first)) return undefined;
  const events = withoutGaps(rest.filter((line) => 'n' in line));
  // Whole lines only, so that what is appended begins on a line of its own.
  const lines = [first, ...events].map((line) => `${JSON.stringify(line)}\n`);
  await writeAtomic(path, lines.join(''));
  return { id, request: first.job, events };
}

/** A journal in `folder`, which it makes. What cannot be read there is deleted. Throws UserError. */
export async function openJournal(folder: string, logger: Logger): Promise<Journal> {
  const path = (id: string): string => join(folder, `${id}${SUFFIX}`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw fileProblem('use', folder, cause);
  }
  return {
    async load() {
      const jobs: StoredJob[] = [];
      for (const name of (await readdir(folder)).sort()) {
        const id = name.slice(0, -SUFFIX.length);
        if (!name.endsWith(SUFFIX) || !jobIdSchema.safeParse(id).success) continue;
        try {
          const job = await readJob(path(id), id);
          if (job === undefined) throw new UserError(`Cannot use ${path(id)}: it has no job`);
          jobs.push(job);
        } catch (error) {
          logger.warn(`${(error as Error).message}; deleted`);
          await rm(path(id), { force: true });
        }
      }
      return jobs;
    },
    begin: (id, request) => appendJsonLine(path(id), { job: request }),
    append: (id, event) => appendJsonLine(path(id), event),
    remove: (id) => rm(path(id), { force: true }),
  };
}
