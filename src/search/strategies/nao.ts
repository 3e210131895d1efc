/**
 * Neural architecture optimisation: architectures become points of a continuous space; from the best ones seen so far the
 * search climbs the gradient of the accuracy predicted there, and decodes what it passes (Luo et al., "Neural architecture
 * optimization", NeurIPS 2018, algorithm 1; `train_search.py` of github.com/renqianluo/NAO_pytorch lengthens its one step
 * until enough networks are new, here the gradient is asked again after each). Where that gives too few, the climb starts
 * again from points around the best ones. Networks that nobody evaluated teach encoder and decoder, as in Luo et al.,
 * "Semi-supervised neural architecture search" (NeurIPS 2020).
 *
 * Beyond the authors: the model learns the order of scores, not their values, as accuracies are skewed; of the networks that
 * climbs find, those with the highest prediction are evaluated; and where there are limits, which the climb knows nothing of,
 * networks on the way back to where it began are looked at too.
 */
import { oneHotEncoder } from '../../accuracy/encoding.js';
import { fitArchitectureEmbedding } from '../../accuracy/predictors/nao.js';
import { Genome, type Genotype } from '../../space/genotype.js';
import type { Random } from '../../util/random.js';
import { ownModelBased } from '../ownModel.js';
import { rankShares } from '../rankShares.js';
import type { Strategy, StrategyContext, StrategyDefinition } from '../strategy.js';

/** Of the way that is gone. */
const SHARES = [0.75, 0.5, 0.25];
/** Networks that a climb finds, for each that is evaluated: those with the highest prediction. */
const RANKED = 5;

export interface NaoOptions {
  /** Evaluations before the first fit. */
  readonly initial: number;
  /** Networks evaluated between two fits. */
  readonly batch: number;
  /** Best networks that climbs start from. */
  readonly starts: number;
  /** Of one climb. */
  readonly steps: number;
  /** In units of the gradient of the standardised score. */
  readonly stepSize: number;
  /** Climbs, the first from the best networks themselves, further ones from further around them. */
  readonly climbs: number;
  /** Deviation of the noise that is added to each coordinate, times the number of climbs before. */
  readonly noise: number;
  /** Networks without a score that teach encoder and decoder. */
  readonly unlabelled: number;
}

export const naoDefaults: NaoOptions = {
  initial: 20,
  batch: 10,
  starts: 20,
  steps: 10,
  stepSize: 1,
  climbs: 4,
  noise: 0.3,
  unlabelled: 1000,
};

/** With other settings. Throws TypeError without an engine. */
export function createNao(context: StrategyContext, options: Partial<NaoOptions> = {}): Strategy {
  const { initial, batch, starts, steps, stepSize, climbs, noise, unlabelled } = {
    ...naoDefaults,
    ...options,
  };
  const { engine, genes } = context;
  if (engine === undefined)
    throw new TypeError('Cannot start strategy "nao": its context must have an engine: there is none');
  const encoder = oneHotEncoder({ genes });
  const genome = new Genome(genes);
  return ownModelBased(context, {
    name: 'nao',
    initial,
    batch,
    fit(trials, scores, chance) {
      const shares = rankShares(scores);
      return fitArchitectureEmbedding(
        trials.map(({ architecture }, i) => ({ architecture, top1: shares[i]! })),
        {
          encoder,
          engine,
          seed: chance.int(2 ** 31),
          target: 'accuracy',
          unlabelled: Array.from({ length: unlabelled }, () => genome.decode(genome.sample(chance))),
        },
      );
    },
    async choose({ model, trials, scores, pool, count, chance }) {
      const order = [...trials.keys()].sort((a, b) => scores[b]! - scores[a]!).slice(0, starts);
      const best = await model.encode(order.map((i) => trials[i]!.architecture));
      const from = order.map((i) => trials[i]!.genotype);
      const found = new Map<string, Genotype>();
      for (let climb = 0; climb < climbs; climb++) {
        let points = climb === 0 ? best : best.map((v) => v + climb * noise * chance.normal());
        for (let step = 0; step < steps && found.size < RANKED * count; step++) {
          const gradient = await model.gradient(points);
          points = points.map((v, i) => v + stepSize * gradient[i]!);
          const reached = (await model.decode(points)).map((arch) => genome.encode(arch));
          const nearer =
            context.violations === undefined
              ? []
              : reached.flatMap((genotype, i) => between(from[i]!, genotype, chance));
          for (const genotype of await pool.filter([...reached, ...nearer]))
            found.set(genome.key(genotype), genotype);
        }
      }
      const list = [...found.values()];
      const embedded = await model.encode(list.map((genotype) => genome.decode(genotype)));
      const promise = await model.predict(embedded);
      return [...list.keys()].sort((a, b) => promise[b]! - promise[a]!).map((i) => list[i]!);
    },
  });
}

/**
 * Networks on the way from one to another, each gene from either: a climb that leaves the limits may have passed better
 * networks within them.
 */
function between(from: Genotype, to: Genotype, chance: Random): Genotype[] {
  return SHARES.map((share) => from.map((choice, gene) => (chance.float() < share ? to[gene]! : choice)));
}

export const nao: StrategyDefinition = {
  name: 'nao',
  description: 'climbs the gradient of a predictor in a space that architectures are encoded in, and decodes',
  exact: false,
  capabilities: { multiObjective: false, constraints: 'aims', resume: 'observe' },
  needs: { engine: true },
  defaultBudget: 300,
  create: (context) => createNao(context),
};
