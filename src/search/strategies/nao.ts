/**
 * Neural architecture optimisation: architectures become points of a continuous space; from the best ones seen so far the
 * search climbs the gradient of the accuracy predicted there, and decodes what it passes (Luo et al., "Neural architecture
 * optimization", NeurIPS 2018, algorithm 1; `train_search.py` of github.com/renqianluo/NAO_pytorch lengthens its one step
 * until enough networks are new, here the gradient is asked again after each). Where that gives too few, the climb starts
 * again from points around the best ones. Networks that nobody evaluated teach encoder and decoder, as in Luo et al.,
 * "Semi-supervised neural architecture search" (NeurIPS 2020).
 *
 * The model learns the order of scores, not their values: on NAS-Bench-Macro, whose accuracies are skewed, the search needs
 * half the evaluations that way. Limits are met by passing over what breaks them.
 */
import { oneHotEncoder } from '../../accuracy/encoding.js';
import { fitArchitectureEmbedding } from '../../accuracy/predictors/nao.js';
import { Genome, type Genotype } from '../../space/genotype.js';
import { ownModelBased } from '../ownModel.js';
import { rankShares } from '../rankShares.js';
import type { Strategy, StrategyContext, StrategyDefinition } from '../strategy.js';

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
      const chosen = new Map<string, Genotype>();
      for (let climb = 0; climb < climbs; climb++) {
        let points = climb === 0 ? best : best.map((v) => v + climb * noise * chance.normal());
        for (let step = 0; step < steps && chosen.size < count; step++) {
          const gradient = await model.gradient(points);
          points = points.map((v, i) => v + stepSize * gradient[i]!);
          const decoded = (await model.decode(points)).map((arch) => genome.encode(arch));
          for (const genotype of await pool.filter(decoded)) chosen.set(genome.key(genotype), genotype);
        }
      }
      return [...chosen.values()];
    },
  });
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
