/**
 * NAS-Bench-Macro: CIFAR-10 accuracies of all 6561 strings of eight choices (Su et al., "Prioritized Architecture
 * Sampling with Monto-Carlo Tree Search", CVPR 2021, arXiv 2103.11922; github.com/xiusu/NAS-Bench-Macro). A predictor can
 * be judged on it against networks that were trained on their own.
 */
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { readJson } from '../../util/files.js';
import type { AccuracySample } from '../predictor.js';

/** First slots of the stages: there `0` is a 1x1 convolution, elsewhere nothing. */
export const MACRO_STAGES = [
  [0, 2],
  [2, 5],
  [5, 8],
] as const;
export const MACRO_SLOTS = 8;
export const MACRO_CHOICES = ['0', '1', '2'] as const;

const entrySchema = z.looseObject({
  mean_acc: z.number().min(0).max(100),
  params: z.number().positive(),
  flops: z.number().positive(),
});
const fileSchema = z.record(z.string().regex(/^[012]{8}$/), entrySchema);

export interface MacroSample extends AccuracySample<string> {
  /** Multiply-accumulates of one image, and parameters. */
  readonly macs: number;
  readonly params: number;
}

/** Strings that build the same network have one canonical form: in a stage, skipped slots go last. */
export function canonicalMacro(arch: string): string {
  return MACRO_STAGES.map(([start, end]) => {
    const chosen = arch.slice(start + 1, end).replaceAll('0', '');
    return (arch[start]! + chosen).padEnd(end - start, '0');
  }).join('');
}

/** Distinct networks (one sample each) of a file of the benchmark, or a part of it; sorted. Throws UserError. */
export async function readMacroBenchmark(path: string): Promise<MacroSample[]> {
  const samples = new Map<string, MacroSample>();
  for (const [text, entry] of Object.entries(await readJson(path, fileSchema))) {
    const architecture = canonicalMacro(text);
    samples.set(architecture, {
      architecture,
      top1: entry.mean_acc / 100,
      macs: entry.flops,
      params: entry.params,
    });
  }
  if (samples.size === 0) throw new UserError(`Cannot use ${path}: it holds no architecture`);
  return [...samples.values()].sort((a, b) => (a.architecture < b.architecture ? -1 : 1));
}
