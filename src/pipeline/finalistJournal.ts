/**
 * What `ofa specialize` has measured, as JSON lines that are appended one by one, so that the same command goes on where it was
 * stopped. A line is keyed by all that its figure follows from (weights, architecture, images or device and protocol):
 * lines of other weights or of a device that has changed lie there unused.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { measurementSchema, type LatencyMeasurement } from '../device/measurement.js';
import { architectureFileSchema, toFile, type Architecture } from '../space/architecture.js';
import { appendJsonLine, dropTornLine, readJsonLines } from '../util/files.js';
import { nameSchema } from '../util/names.js';
import { classScoreSchema, type ClassScore } from '../training/classScore.js';

export const FINALISTS_FILE = 'finalists.jsonl';

const common = {
  format: z.literal('ofakit.finalist/1'),
  /** SHA-256 of what the figure follows from. */
  unit: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  architecture: architectureFileSchema,
};

export const finalistLineSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    ...common,
    kind: z.literal('score'),
    split: z.enum(['validation', 'test']),
    top1: z.number().min(0).max(1),
    /** Of test images; absent in older files. */
    byClass: classScoreSchema.exactOptional(),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('latency'),
    device: nameSchema,
    /** `finalist`: what the choice was made by; `chosen`: again, beside all chosen models. */
    visit: z.enum(['finalist', 'chosen']),
    measurement: measurementSchema,
  }),
]);
type FinalistLine = z.infer<typeof finalistLineSchema>;
export type ScoredSplit = Extract<FinalistLine, { kind: 'score' }>['split'];
export type Visit = Extract<FinalistLine, { kind: 'latency' }>['visit'];

/** Top-1 as a fraction, and what is known class by class. */
export interface KnownScore {
  readonly top1: number;
  readonly byClass?: ClassScore;
}

/** Name of a unit of work. `facts`: plain data; equal facts in equal order give equal names. */
export function unitName(facts: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

export class FinalistJournal {
  private readonly scores = new Map<string, KnownScore>();
  private readonly latencies = new Map<string, LatencyMeasurement>();

  private constructor(
    private readonly path: string,
    lines: readonly FinalistLine[],
  ) {
    // Of several lines of one unit the last counts: it was written by who did not know the others.
    for (const line of lines) {
      if (line.kind === 'score') this.scores.set(line.unit, line);
      else this.latencies.set(line.unit, line.measurement);
    }
  }

  /** Writes nothing. Throws UserError naming a line that is damaged; a last one that was cut off is dropped. */
  static async open(path: string): Promise<FinalistJournal> {
    await dropTornLine(path);
    return new FinalistJournal(path, await readJsonLines(path, finalistLineSchema));
  }

  score(unit: string): KnownScore | undefined {
    return this.scores.get(unit);
  }

  latency(unit: string): LatencyMeasurement | undefined {
    return this.latencies.get(unit);
  }

  /** Throws UserError where the file system refuses, as all that adds does. */
  async addScore(unit: string, arch: Architecture, split: ScoredSplit, score: KnownScore): Promise<void> {
    const { top1, byClass } = score;
    await this.add({
      unit,
      architecture: toFile(arch),
      kind: 'score',
      split,
      top1,
      ...(byClass && { byClass }),
    });
    this.scores.set(unit, score);
  }

  async addLatency(
    unit: string,
    arch: Architecture,
    device: string,
    visit: Visit,
    measurement: LatencyMeasurement,
  ): Promise<void> {
    await this.add({ unit, architecture: toFile(arch), kind: 'latency', device, visit, measurement });
    this.latencies.set(unit, measurement);
  }

  private async add(line: DistributiveOmit<FinalistLine, 'format'>): Promise<void> {
    await appendJsonLine(this.path, { format: 'ofakit.finalist/1', ...line } satisfies FinalistLine);
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
