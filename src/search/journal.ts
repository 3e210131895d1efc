/**
 * What a search has seen, as JSON lines that are appended as trials are done; a search that was stopped goes on by
 * replaying them. First a line that says which search it is, then a line a trial, in the order of proposals:
 *
 *     {"format":"ofakit.search/1","strategy":"linas","seed":0,"budget":100,"objectives":[...],"limits":[...],...}
 *     {"round":0,"of":20,"architecture":{"image_size":...},"state":"feasible","values":[0.93,1.2],"recorded":[3.1e7]}
 *     {"round":0,"of":20,"architecture":{"image_size":...},"state":"infeasible","violation":0.2}
 *
 * A round is what was proposed at once: `of` candidates. Only the last may be incomplete.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { architectureFileSchema, fromFile, toFile } from '../space/architecture.js';
import type { Gene } from '../space/gene.js';
import type { Genome } from '../space/genotype.js';
import { checkArchitecture } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { appendText, dropTornLine, readJsonLines } from '../util/files.js';
import { createCandidate, type Candidate, type Trial } from './strategy.js';

const name = z.string().min(1);

export const journalHeaderSchema = z.strictObject({
  format: z.literal('ofakit.search/1'),
  strategy: name,
  seed: z.number().int(),
  budget: z.number().positive(),
  objectives: z.array(z.strictObject({ name, direction: z.enum(['maximize', 'minimize']) })).nonempty(),
  /** Other quantities that are kept of every trial. */
  recorded: z.array(name),
  limits: z.array(z.strictObject({ name, limit: z.number() })),
  /** Of the genes searched: their names and choices. */
  genesSha256: name,
  /** What answers, in the words of whoever started the search: weights, predictor, images. */
  origin: z.record(z.string(), z.union([z.string(), z.number()])),
});
export type JournalHeader = z.infer<typeof journalHeaderSchema>;

const place = {
  round: z.number().int().nonnegative(),
  of: z.number().int().positive(),
  architecture: architectureFileSchema,
  fidelity: z.number().positive().max(1).optional(),
};
export const journalTrialSchema = z.discriminatedUnion('state', [
  z.strictObject({
    ...place,
    state: z.literal('feasible'),
    values: z.array(z.number()).nonempty(),
    recorded: z.array(z.number()),
  }),
  z.strictObject({ ...place, state: z.literal('infeasible'), violation: z.number().positive() }),
]);
type JournalTrial = z.infer<typeof journalTrialSchema>;

/** A line: the first is the header. */
export const searchJournalSchema = z.union([journalHeaderSchema, ...journalTrialSchema.options]);

/** A trial, and the values of the quantities that are kept beside its objectives. */
export interface RecordedTrial {
  readonly trial: Trial;
  readonly recorded: readonly number[];
}

export function genesSha256(genes: readonly Gene[]): string {
  return createHash('sha256')
    .update(
      JSON.stringify(genes.map(({ list, index, choices, needs }) => [list, index, choices, needs ?? null])),
    )
    .digest('hex');
}

export class SearchJournal {
  /** Rounds that were there, each in the order of proposals. */
  readonly rounds: readonly (readonly RecordedTrial[])[];
  /** Whether the last of `rounds` holds all that was proposed. */
  readonly complete: boolean;

  private constructor(
    private readonly path: string,
    lines: readonly JournalTrial[],
    genome: Genome,
    header: JournalHeader,
  ) {
    const rounds: RecordedTrial[][] = [];
    let of = 0;
    lines.forEach((line, i) => {
      const where = `${path}, line ${i + 2}`;
      const next = rounds.length;
      if (line.round === next && (next === 0 || rounds[next - 1]!.length === of)) {
        rounds.push([]);
        of = line.of;
      }
      const round = rounds[line.round];
      if (round === undefined || line.round !== rounds.length - 1 || line.of !== of || round.length >= of) {
        throw new UserError(
          `Cannot use ${where}: it must belong to round ${next === 0 ? 0 : next - 1}, or begin the next one: it is of round ${line.round}`,
        );
      }
      round.push(readTrial(line, genome, header, where));
    });
    this.rounds = rounds;
    this.complete = rounds.length === 0 || rounds[rounds.length - 1]!.length === of;
  }

  /**
   * Opens the journal of the search that `header` describes, or begins it. Throws UserError for a file that is damaged, or
   * of another search, naming what differs.
   */
  static async open(path: string, header: JournalHeader, genome: Genome): Promise<SearchJournal> {
    await dropTornLine(path);
    const lines = await readJsonLines(path, searchJournalSchema);
    const [first, ...trials] = lines;
    if (first === undefined) await appendText(path, `${JSON.stringify(header)}\n`);
    else checkHeader(path, first, header);
    const checked = trials.map((line, i) => {
      if (!('format' in line)) return line;
      throw new UserError(`Cannot use ${path}, line ${i + 2}: it must be a trial: it is another header`);
    });
    return new SearchJournal(path, checked, genome, header);
  }

  /** Appends trials of a round, all at once. Throws UserError where the file system refuses. */
  async append(round: number, of: number, trials: readonly RecordedTrial[]): Promise<void> {
    const text = trials.map((trial) => `${JSON.stringify(lineOf(round, of, trial))}\n`).join('');
    if (text !== '') await appendText(this.path, text);
  }
}

function checkHeader(path: string, found: z.infer<typeof searchJournalSchema>, wanted: JournalHeader): void {
  if (!('format' in found))
    throw new UserError(`Cannot use ${path}, line 1: it must say which search it is of: it is a trial`);
  for (const key of Object.keys(wanted) as (keyof JournalHeader)[]) {
    if (isDeepStrictEqual(found[key], wanted[key])) continue;
    throw new UserError(
      `Cannot go on with ${path}: its ${key} must be ${JSON.stringify(wanted[key])}: it is ${JSON.stringify(found[key])}; choose another file, or delete it`,
    );
  }
}

function lineOf(round: number, of: number, { trial, recorded }: RecordedTrial): JournalTrial {
  const { architecture, fidelity } = trial;
  const place = {
    round,
    of,
    architecture: toFile(architecture),
    ...(fidelity === undefined ? {} : { fidelity }),
  };
  return trial.state === 'feasible'
    ? {
        ...place,
        state: 'feasible',
        values: [trial.values[0]!, ...trial.values.slice(1)],
        recorded: [...recorded],
      }
    : { ...place, state: 'infeasible', violation: trial.violation };
}

function readTrial(line: JournalTrial, genome: Genome, header: JournalHeader, where: string): RecordedTrial {
  let candidate: Candidate;
  try {
    const architecture = fromFile(line.architecture);
    checkArchitecture(genome.genes, architecture, 'of the search');
    candidate = createCandidate(genome, genome.encode(architecture), line.fidelity);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UserError(`Cannot use ${where}: ${cause.message}`, { cause });
  }
  if (line.state === 'infeasible') {
    return { trial: { ...candidate, state: 'infeasible', violation: line.violation }, recorded: [] };
  }
  const { values, recorded } = line;
  if (values.length !== header.objectives.length || recorded.length !== header.recorded.length) {
    throw new UserError(
      `Cannot use ${where}: it must have ${header.objectives.length} values and ${header.recorded.length} recorded: it has ${values.length} and ${recorded.length}`,
    );
  }
  return { trial: { ...candidate, state: 'feasible', values }, recorded };
}
