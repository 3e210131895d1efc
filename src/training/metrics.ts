/** metrics.jsonl: one line an event, in order of steps. */
import { z } from 'zod';
import { architectureFileSchema } from '../space/architecture.js';
import { readJsonLines, writeAtomic } from '../util/files.js';

export const METRICS_FILE = 'metrics.jsonl';

const common = { phase: z.string(), step: z.number().int(), epoch: z.number() };
export const metricSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('step'),
    ...common,
    /** Mean over the subnets of the steps since the last line. */
    loss: z.number(),
    learningRate: z.number(),
    imagesPerSecond: z.number(),
  }),
  z.strictObject({
    kind: z.literal('validation'),
    ...common,
    subnet: z.string(),
    architecture: architectureFileSchema,
    top1: z.number(),
    top5: z.number(),
    loss: z.number(),
    images: z.number().int(),
  }),
]);
export type Metric = z.infer<typeof metricSchema>;

/** Metrics of a run; [] where there are none. */
export function readMetrics(path: string): Promise<Metric[]> {
  return readJsonLines(path, metricSchema);
}

/** Drops what was written after the checkpoint that a run resumes from: it will be computed again. */
export async function rewindMetrics(path: string, step: number): Promise<void> {
  const kept = (await readMetrics(path)).filter((metric) => metric.step <= step);
  await writeAtomic(path, kept.map((metric) => `${JSON.stringify(metric)}\n`).join(''));
}
