/**
 * Differentiable search on a supernet itself, one path at a time: the architecture is a softmax over the choices of every
 * gene; each step runs a few sampled subnets on one batch of images, and moves the logits by the score function (Cai, Zhu,
 * Han, "ProxylessNAS", ICLR 2019, section 3.3.2: REINFORCE instead of binary gates, whose gradient would need several paths
 * in memory at once; its equation 5, with the loss in place of a reward). The baseline of each path is the mean of the others,
 * which saw the same images (Kool, van Hoof, Welling, "Buy 4 REINFORCE samples, get a baseline for free!", 2019).
 *
 * The limits are part of the objective as an expectation, as ProxylessNAS's latency is (section 3.3.1). Its sum over the
 * choices of a gene is exact: what the limits say of a path with each choice put in its place (local expectation gradients,
 * Titsias and Lazaro-Gredilla, NeurIPS 2015), so that any latency predictor serves, not sums over blocks alone.
 */
import { z } from 'zod';
import type { Architecture } from '../space/architecture.js';
import type { Gene } from '../space/gene.js';
import { Genome, type Genotype } from '../space/genotype.js';
import { UserError } from '../util/errors.js';
import { appendJsonLine, dropTornLine, readJsonLines } from '../util/files.js';
import type { Progress } from '../util/logger.js';
import { createRandom } from '../util/random.js';
import { ChoicePolicy } from './choicePolicy.js';
import { LogitOptimizer } from './logitOptimizer.js';
import type { StrategyContext } from './strategy.js';

export interface PathSearchSettings {
  readonly steps: number;
  /** Subnets a step; at least 2, as each is the baseline of the others. */
  readonly paths: number;
  /** Adam's. */
  readonly learningRate: number;
  /** Of the expected relative excess over the limits, against a nat of loss. */
  readonly limitWeight: number;
}

export const pathSearchDefaults: PathSearchSettings = {
  steps: 300,
  paths: 4,
  learningRate: 0.05,
  limitWeight: 3,
};

export interface PathSearchOptions {
  readonly genes: readonly Gene[];
  readonly seed: number;
  readonly settings?: Partial<PathSearchSettings>;
  /** Mean loss of each subnet on the images of the step; deterministic for its arguments. */
  readonly losses: (archs: readonly Architecture[], step: number) => Promise<readonly number[]>;
  /** As in `StrategyContext`; absent where nothing is limited. */
  readonly violations?: StrategyContext['violations'];
  /** Losses are kept there, and a search that was stopped goes on; `origin` says what answered. */
  readonly journal?: { readonly path: string; readonly origin: Readonly<Record<string, string | number>> };
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

export interface PathSearchResult {
  readonly policy: ChoicePolicy;
  readonly genome: Genome;
  /** Of every step: mean loss of its paths, mean relative excess over the limits, and how undecided the policy was. */
  readonly history: readonly {
    readonly loss: number;
    readonly excess: number;
    readonly uncertainty: number;
  }[];
}

const headerSchema = z.strictObject({
  format: z.literal('ofakit.path-search/1'),
  seed: z.number().int(),
  paths: z.number().int().positive(),
  learningRate: z.number().positive(),
  limitWeight: z.number().nonnegative(),
  /** What answered. */
  origin: z.record(z.string(), z.union([z.string(), z.number()])),
});
const stepSchema = z.strictObject({
  step: z.number().int().nonnegative(),
  /** Of the step's paths, in the order of their draws. */
  losses: z.array(z.number()),
});
export const pathJournalSchema = z.union([headerSchema, stepSchema]);

/**
 * Deterministic for a seed. Throws UserError for a journal that is damaged or of another search, RangeError for settings that
 * make no sense or a loss that is no number, and the signal's reason when what is done is in the journal.
 */
export async function searchPaths(options: PathSearchOptions): Promise<PathSearchResult> {
  const { genes, seed, losses, violations, progress, signal } = options;
  const settings = { ...pathSearchDefaults, ...options.settings };
  const { steps, paths, learningRate, limitWeight } = settings;
  if (!Number.isInteger(paths) || paths < 2 || !(steps >= 1)) {
    throw new RangeError(
      `Cannot search paths: at least 1 step and 2 paths a step are wanted: there are ${steps} steps of ${paths} paths`,
    );
  }
  const genome = new Genome(genes);
  const policy = new ChoicePolicy(genome);
  const optimizer = new LogitOptimizer(policy.logits, learningRate);
  const known = await openJournal(options, settings);
  const history: { loss: number; excess: number; uncertainty: number }[] = [];
  for (let step = 0; step < steps; step++) {
    const chance = createRandom(seed, 'search', 'paths', step);
    const genotypes = Array.from({ length: paths }, () => policy.sample(chance));
    const archs = genotypes.map((genotype) => genome.decode(genotype));
    let values = known[step];
    if (values === undefined) {
      signal?.throwIfAborted();
      values = await losses(archs, step);
      checkLosses(values, paths);
      if (options.journal) await appendJsonLine(options.journal.path, { step, losses: values });
    }
    const total = values.reduce((sum, v) => sum + v, 0);
    const advantages = values.map((v) => (total - v) / (paths - 1) - v);
    const ascent = policy.gradient(genotypes, advantages);
    const excess = violations === undefined ? undefined : await expectedExcess(policy, genotypes, violations);
    ascent.forEach((own, gene) => {
      for (let i = 0; i < own.length; i++)
        own[i] = own[i]! / paths - limitWeight * (excess?.gradient[gene]![i] ?? 0);
    });
    optimizer.ascend(ascent);
    history.push({ loss: total / paths, excess: excess?.mean ?? 0, uncertainty: policy.uncertainty() });
    progress?.update(step + 1, `loss ${(total / paths).toFixed(3)}`);
  }
  return { policy, genome, history };
}

/**
 * Mean of the sampled networks' relative excess over the limits, and the gradient of its expectation in the logits: with e_c
 * the excess of a sample that has choice c put in, p_c (e_c - sum_d p_d e_d), averaged over the samples.
 */
export async function expectedExcess(
  policy: ChoicePolicy,
  genotypes: readonly Genotype[],
  violations: NonNullable<StrategyContext['violations']>,
): Promise<{ readonly mean: number; readonly gradient: Float64Array[] }> {
  const { genome, logits } = policy;
  const asked: Architecture[] = [];
  for (const genotype of genotypes) {
    logits.forEach((own, gene) => {
      for (let choice = 0; choice < own.length; choice++)
        asked.push(genome.decode(genotype.with(gene, choice)));
    });
  }
  const excess = await violations(asked);
  const gradient = logits.map(({ length }) => new Float64Array(length));
  let mean = 0;
  let at = 0;
  for (const genotype of genotypes) {
    logits.forEach((own, gene) => {
      const p = policy.probabilities(gene);
      let expected = 0;
      for (let i = 0; i < own.length; i++) expected += p[i]! * excess[at + i]!;
      for (let i = 0; i < own.length; i++)
        gradient[gene]![i]! += (p[i]! * (excess[at + i]! - expected)) / genotypes.length;
      if (gene === 0) mean += excess[at + genotype[0]!]! / genotypes.length;
      at += own.length;
    });
  }
  return { mean, gradient };
}

function checkLosses(values: readonly number[], paths: number): void {
  if (values.length === paths && values.every(Number.isFinite)) return;
  throw new RangeError(
    `Cannot search paths: there must be a finite loss for each of ${paths} subnets: they are ${values.join(', ')}`,
  );
}

/** Losses of the steps that were done. */
async function openJournal(
  { journal, seed }: PathSearchOptions,
  { paths, learningRate, limitWeight }: PathSearchSettings,
): Promise<readonly (readonly number[])[]> {
  if (journal === undefined) return [];
  const { path, origin } = journal;
  const header: z.infer<typeof headerSchema> = {
    format: 'ofakit.path-search/1',
    seed,
    paths,
    learningRate,
    limitWeight,
    origin: { ...origin },
  };
  await dropTornLine(path);
  const [first, ...lines] = await readJsonLines(path, pathJournalSchema);
  if (first === undefined) {
    await appendJsonLine(path, header);
    return [];
  }
  if (JSON.stringify(first) !== JSON.stringify(header)) {
    throw new UserError(
      `Cannot go on with ${path}: it must be of this search, ${JSON.stringify(header)}: it begins with ${JSON.stringify(first)}; choose another file, or delete it`,
    );
  }
  return lines.map((line, i) => {
    if (!('step' in line) || line.step !== i || line.losses.length !== paths) {
      throw new UserError(
        `Cannot use ${path}, line ${i + 2}: it must hold the ${paths} losses of step ${i}: it does not`,
      );
    }
    return line.losses;
  });
}
