/**
 * Differentiable search: the architecture is a softmax over the choices of every gene, and its logits are moved by gradients
 * through Gumbel-softmax samples, the limits being part of the objective as an expectation (Wu et al., "FBNet", CVPR 2019,
 * section 3; Cai, Zhu, Han, "ProxylessNAS", ICLR 2019, section 3.3.1 for the expected latency).
 *
 * There the gradient comes from a supernet in training. Here it comes from networks fitted on what was evaluated so far,
 * which answer for any point between architectures: fit, climb each of them from scratch, evaluate what the logits have come
 * to prefer, fit again. Several such networks, each climbed by itself, keep the search from believing one of them. What the
 * user's limits say of an architecture has no gradient, so the expected excess over them is followed by the score function
 * (`ChoicePolicy.gradient`). On a supernet itself, with images: `searchPaths`.
 */
import { fitRelaxedEnsemble, type RelaxedMember } from '../../accuracy/relaxedEnsemble.js';
import { Genome, type Genotype } from '../../space/genotype.js';
import type { Random } from '../../util/random.js';
import { ChoicePolicy } from '../choicePolicy.js';
import { LogitOptimizer } from '../logitOptimizer.js';
import { ownModelBased } from '../ownModel.js';
import { rankShares } from '../rankShares.js';
import { RelaxedGenes } from '../relaxedGenes.js';
import type { Strategy, StrategyContext, StrategyDefinition } from '../strategy.js';

export interface DifferentiableOptions {
  /** Evaluations before the first fit. */
  readonly initial: number;
  /** Networks evaluated between two fits. */
  readonly batch: number;
  /** Models that are fitted and climbed. */
  readonly members: number;
  /** Of a climb. */
  readonly steps: number;
  /** Gumbel-softmax samples a step. */
  readonly samples: number;
  /** Adam's. */
  readonly learningRate: number;
  /** Of the Gumbel softmax, at the first step and the last; it falls geometrically between. */
  readonly temperature: readonly [number, number];
  /** Weight of the expected relative excess over the limits, against scores of deviation 1. */
  readonly limitWeight: number;
  /** Architectures drawn from the logits at the end of a climb; the most promising are evaluated. */
  readonly drawn: number;
}

export const differentiableDefaults: DifferentiableOptions = {
  initial: 20,
  batch: 9,
  members: 3,
  steps: 50,
  samples: 16,
  learningRate: 0.1,
  temperature: [2, 0.3],
  limitWeight: 3,
  drawn: 100,
};

/** Share of genes that the last draw takes uniformly, rising from 0: a sure policy by itself draws one network only. */
const UNIFORM = 1 / 3;
/** Shares spread from 0 to 1 times this have deviation 1. */
const UNIFORM_DEVIATION = Math.sqrt(12);

/** With other settings. Throws TypeError without an engine. */
export function createDifferentiable(
  context: StrategyContext,
  given: Partial<DifferentiableOptions> = {},
): Strategy {
  const options = { ...differentiableDefaults, ...given };
  const { engine, genes } = context;
  if (engine === undefined) {
    throw new TypeError(
      'Cannot start strategy "differentiable": its context must have an engine: there is none',
    );
  }
  const genome = new Genome(genes);
  const relaxed = new RelaxedGenes(genes);
  const rowsOf = (genotypes: readonly Genotype[]): Float32Array =>
    relaxed.rows(genotypes.map((genotype) => relaxed.sharesOf(genotype)));
  return ownModelBased(context, {
    name: 'differentiable',
    initial: options.initial,
    batch: options.batch,
    async fit(trials, scores, chance) {
      const model = await fitRelaxedEnsemble({
        rows: rowsOf(trials.map(({ genotype }) => genotype)),
        width: relaxed.width,
        targets: Float32Array.from(rankShares(scores), (share) => (share - 0.5) * UNIFORM_DEVIATION),
        members: options.members,
        engine,
        seed: chance.int(2 ** 31),
      });
      const climbs: { readonly member: RelaxedMember; readonly policy: ChoicePolicy }[] = [];
      for (const member of model.members)
        climbs.push({ member, policy: await climb({ context, genome, relaxed, member, chance, options }) });
      return { climbs, dispose: () => model.dispose() };
    },
    async choose({ model: { climbs }, pool, count, chance }) {
      const chosen = new Map<string, Genotype>();
      for (const { member, policy } of climbs) {
        const drawn = Array.from({ length: options.drawn }, (_, i) =>
          i === 0 ? policy.mode() : policy.sample(chance, (UNIFORM * i) / options.drawn),
        );
        const fresh = (await pool.filter(drawn)).filter((genotype) => !chosen.has(genome.key(genotype)));
        const { values } = await member.gradient(rowsOf(fresh), fresh.length);
        const order = [...fresh.keys()].sort((a, b) => values[b]! - values[a]!);
        for (const i of order.slice(0, Math.ceil(count / climbs.length)))
          chosen.set(genome.key(fresh[i]!), fresh[i]!);
      }
      return [...chosen.values()];
    },
  });
}

interface Climb {
  readonly context: StrategyContext;
  readonly genome: Genome;
  readonly relaxed: RelaxedGenes;
  readonly member: RelaxedMember;
  readonly chance: Random;
  readonly options: DifferentiableOptions;
}

/** Logits that a member of the model thinks well of, and that keep the limits in expectation. */
async function climb({ context, genome, relaxed, member, chance, options }: Climb): Promise<ChoicePolicy> {
  const { steps, samples, temperature, learningRate, limitWeight } = options;
  const policy = new ChoicePolicy(genome);
  const optimizer = new LogitOptimizer(policy.logits, learningRate);
  for (let step = 0; step < steps; step++) {
    const now = temperature[0] * (temperature[1] / temperature[0]) ** (step / Math.max(1, steps - 1));
    const draws = Array.from({ length: samples }, () => relaxed.draw(policy.logits, now, chance));
    const { gradients } = await member.gradient(relaxed.rows(draws), samples);
    const ascent = relaxed.logitGradients(draws, gradients, now);
    if (context.violations !== undefined) {
      const genotypes = Array.from({ length: samples }, () => policy.sample(chance));
      const excess = await context.violations(genotypes.map((genotype) => genome.decode(genotype)));
      const descent = policy.gradient(genotypes, centred(excess));
      ascent.forEach((own, gene) => descent[gene]!.forEach((v, i) => (own[i]! -= limitWeight * v)));
    }
    for (const own of ascent) for (let i = 0; i < own.length; i++) own[i]! /= samples;
    optimizer.ascend(ascent);
  }
  return policy;
}

/** Less their mean, a baseline that lowers the variance of a score function's estimate. */
function centred(values: ArrayLike<number>): Float64Array {
  const list = Float64Array.from(values);
  const mean = list.reduce((sum, v) => sum + v, 0) / list.length;
  return list.map((v) => v - mean);
}

export const differentiable: StrategyDefinition = {
  name: 'differentiable',
  description: 'softmax over the choices of every gene, moved by gradients through Gumbel-softmax samples',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'observe' },
  needs: { engine: true },
  defaultBudget: 300,
  create: (context) => createDifferentiable(context),
};
