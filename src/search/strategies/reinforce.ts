/**
 * Reinforcement learning: a policy draws architectures, and is moved towards those that were better than it had come to
 * expect (Zoph and Le, "Neural architecture search with reinforcement learning", ICLR 2017, section 3.2: REINFORCE with a
 * moving average as baseline; Pham et al., "Efficient neural architecture search", ICML 2018, adds the policy's entropy).
 *
 * Their controllers are LSTMs, as their decisions have no fixed number. Here they have: the policy holds logits for the
 * choices of every gene, independent of each other, as in Bender et al., "Can weight sharing outperform random architecture
 * search? An investigation with TuNAS" (CVPR 2020, section 3.2), which found that enough. A gene learns only from networks
 * that have it. Networks are not drawn twice: where the policy is so sure that it draws known ones, it is mixed with a
 * uniform one, more and more.
 */
import { Genome, type Genotype } from '../../space/genotype.js';
import { createRandom, type Random } from '../../util/random.js';
import { Brood } from '../breeding.js';
import { ChoicePolicy } from '../choicePolicy.js';
import {
  Fresh,
  scoreOf,
  type Candidate,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from '../strategy.js';

export interface ReinforceOptions {
  /** Networks drawn from one policy. */
  readonly batch: number;
  /** Of plain gradient ascent on the logits, for rewards of deviation 1. */
  readonly learningRate: number;
  /** Weight of the entropy that is left, in nats a gene. */
  readonly entropy: number;
  /** What a network that breaks limits is worth, in deviations below the baseline. */
  readonly penalty: number;
  /** How much of the baseline stays with every reward. */
  readonly baselineDecay: number;
}

export const reinforceDefaults: ReinforceOptions = {
  batch: 3,
  learningRate: 0.3,
  entropy: 0.02,
  penalty: 0.3,
  baselineDecay: 0.9,
};

/** Infeasible draws for one place before its last one is repaired. */
const ATTEMPTS = 20;

class Reinforce implements Strategy {
  readonly #chance: Random;
  readonly #policy: ChoicePolicy;
  readonly #brood: Brood<'sample' | 'anchor'>;
  #best: { readonly genotype: Genotype; readonly score: number } | undefined;
  /** Moving means of rewards and of their squared distance from them. */
  #baseline = 0;
  #variance = 0;
  #rewards = 0;
  #started = false;

  constructor(
    private readonly context: StrategyContext,
    private readonly options: ReinforceOptions,
  ) {
    const { anchor, seed, genes } = context;
    const genome = new Genome(genes);
    this.#chance = createRandom(seed, 'search', 'reinforce');
    this.#policy = new ChoicePolicy(genome);
    this.#brood = new Brood({
      genome,
      fresh: new Fresh(genome),
      chance: this.#chance,
      anchor,
      budget: context.budget,
      attempts: ATTEMPTS,
      draw: (origin, freedom) =>
        origin === 'anchor' ? genome.encode(anchor!) : this.#policy.sample(this.#chance, freedom),
      parent: () => this.#best?.genotype,
    });
  }

  propose(count: number): Candidate[] {
    const list = this.#brood.fill(count);
    if (list.length > 0) return list;
    this.#brood.open('sample', this.options.batch);
    if (!this.#started && this.context.anchor !== undefined) this.#brood.open('anchor', 1);
    this.#started = true;
    return this.#brood.fill(count);
  }

  observe(trials: readonly Trial[]): void {
    this.#brood.observe(trials);
    const { penalty } = this.options;
    const scored = trials.map((trial) =>
      trial.state === 'feasible' ? scoreOf(this.context, trial) : undefined,
    );
    const advantages = scored.map((score) => (score === undefined ? -penalty : this.#advantage(score)));
    const { learningRate, entropy } = this.options;
    const rewards = this.#policy.gradient(
      trials.map(({ genotype }) => genotype),
      advantages,
    );
    const entropies = this.#policy.entropyGradient();
    this.#policy.logits.forEach((own, gene) => {
      for (let i = 0; i < own.length; i++)
        own[i]! += learningRate * (rewards[gene]![i]! + entropy * trials.length * entropies[gene]![i]!);
    });
    trials.forEach(({ genotype }, i) => {
      const score = scored[i];
      if (score === undefined) return;
      this.#expect(score);
      if (this.#best === undefined || score > this.#best.score) this.#best = { genotype, score };
    });
  }

  /** By how many deviations a score is above what was expected. */
  #advantage(score: number): number {
    if (this.#rewards < 2 || this.#variance === 0) return 0;
    return Math.max(-3, Math.min(3, (score - this.#baseline) / Math.sqrt(this.#variance)));
  }

  #expect(score: number): void {
    this.#rewards++;
    // As a plain mean at first.
    const share = Math.max(1 - this.options.baselineDecay, 1 / this.#rewards);
    const away = score - this.#baseline;
    this.#baseline += share * away;
    this.#variance = (1 - share) * (this.#variance + share * away ** 2);
  }
}

/** With other settings. */
export function createReinforce(context: StrategyContext, options: Partial<ReinforceOptions> = {}): Strategy {
  return new Reinforce(context, { ...reinforceDefaults, ...options });
}

export const reinforce: StrategyDefinition = {
  name: 'reinforce',
  description:
    'a policy over the choices of every gene, moved by REINFORCE towards what was better than expected',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'learns', resume: 'replay' },
  defaultBudget: 5000,
  create: (context) => createReinforce(context),
};
