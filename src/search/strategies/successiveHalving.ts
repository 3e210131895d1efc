/**
 * Successive halving (Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization",
 * AISTATS 2016, figure 1): many networks drawn at random are evaluated on few validation images, the best third of them on
 * three times as many, and so on, until the last are evaluated on all. Each rung costs the same. Bracket follows bracket
 * while the budget lasts, as in Hyperband (Li et al., JMLR 2018), of which these are the most aggressive ones.
 */
import { Genome, type Genotype } from '../../space/genotype.js';
import { createRandom } from '../../util/random.js';
import { Brood } from '../breeding.js';
import {
  createCandidate,
  Fresh,
  scoreOf,
  type Candidate,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from '../strategy.js';

/** Of the networks of a rung one in so many goes on, to so many times the images. */
const FACTOR = 3;
/** Rungs of a bracket, at most: the first evaluates on 1/27 of the images. */
const MOST_RUNGS = 4;
/** Brackets that a budget is enough for, at least; none costs more than `MOST_COST` evaluations. */
const BRACKETS = 4;
const MOST_COST = 100;
/** Infeasible draws for one network before it is repaired. */
const ATTEMPTS = 20;

interface Ranked {
  readonly genotype: Genotype;
  readonly score: number;
}

class SuccessiveHalving implements Strategy {
  readonly #genome: Genome;
  readonly #brood: Brood<'sample'>;
  /** Of the budget, in evaluations on all images. */
  #left: number;
  #rungs = 0;
  #rung = 0;
  /** Networks of the bracket's last rung. */
  #last = 0;
  /** To be evaluated in this rung, the next one last. */
  #waiting: Genotype[] = [];
  #observed: Ranked[] = [];

  constructor(private readonly context: StrategyContext) {
    const { seed, genes, anchor, budget } = context;
    this.#left = budget;
    const chance = createRandom(seed, 'search', 'successive-halving');
    this.#genome = new Genome(genes);
    this.#brood = new Brood({
      genome: this.#genome,
      fresh: new Fresh(this.#genome),
      chance,
      anchor,
      budget,
      attempts: ATTEMPTS,
      draw: () => this.#genome.sample(chance),
      parent: () => this.#genome.sample(chance),
    });
  }

  async propose(count: number): Promise<Candidate[]> {
    for (;;) {
      const list = await this.#ofRung(count);
      if (list.length > 0) return list;
      if (this.#rung + 1 < this.#rungs && this.#observed.length > 0) this.#promote();
      else if (!this.#begin()) return [];
    }
  }

  observe(trials: readonly Trial[]): void {
    if (this.#rung === 0) this.#brood.observe(trials);
    for (const trial of trials) {
      if (trial.state === 'infeasible') continue;
      this.#left -= trial.fidelity ?? 1;
      this.#observed.push({ genotype: trial.genotype, score: scoreOf(this.context, trial) });
    }
  }

  async #ofRung(count: number): Promise<Candidate[]> {
    const fidelity = FACTOR ** (this.#rung + 1 - this.#rungs);
    const whole = fidelity === 1;
    if (this.#rung === 0) {
      const drawn = await this.#brood.fillFeasible(count, this.context.genotypeViolations);
      return whole ? drawn : drawn.map((candidate) => ({ ...candidate, fidelity }));
    }
    const taken = this.#waiting.splice(Math.max(0, this.#waiting.length - count));
    return taken.map((genotype) =>
      whole ? createCandidate(this.#genome, genotype) : createCandidate(this.#genome, genotype, fidelity),
    );
  }

  /** The best of the rung to the next one. */
  #promote(): void {
    this.#rung++;
    const count = this.#last * FACTOR ** (this.#rungs - 1 - this.#rung);
    const sorted = this.#observed.sort((a, b) => b.score - a.score).slice(0, count);
    this.#waiting = sorted.map(({ genotype }) => genotype).reverse();
    this.#observed = [];
  }

  /** A new bracket; false where the budget or the space is used up. */
  #begin(): boolean {
    const { budget } = this.context;
    const cost = Math.min(this.#left + 1e-9, Math.max(MOST_RUNGS, Math.min(MOST_COST, budget / BRACKETS)));
    // After a bracket in which nothing new was found there is nothing left to find.
    const exhausted = this.#rungs > 0 && this.#rung === 0 && this.#observed.length === 0;
    if (cost < 1 || exhausted) return false;
    this.#rungs = Math.min(MOST_RUNGS, Math.floor(cost));
    this.#last = Math.floor(cost / this.#rungs);
    this.#rung = 0;
    this.#observed = [];
    this.#waiting = [];
    this.#brood.open('sample', this.#last * FACTOR ** (this.#rungs - 1));
    return true;
  }
}

export const successiveHalving: StrategyDefinition = {
  name: 'successive-halving',
  description: 'many networks on few validation images, the best of them on more and more',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'replay' },
  needs: { fidelity: true },
  defaultBudget: 200,
  create: (context) => new SuccessiveHalving(context),
};
