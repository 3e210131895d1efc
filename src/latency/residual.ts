/** A simple predictor and a learner of what it leaves over: the learner sees ratios, so the simple one carries scale and trend. */
import { z } from 'zod';
import { validate } from '../util/files.js';
import type { NetworkFacts, PredictorContext } from './context.js';
import type { Learner } from './learners/learner.js';
import type { LatencyModel, PredictorDefinition } from './predictor.js';

/** A learner may multiply what the base says by at most e to this, either way. */
const LARGEST_LOG_RATIO = 0.7;

export interface ResidualSettings<State> {
  readonly name: string;
  readonly description: string;
  readonly minExamples: number;
  readonly base: PredictorDefinition;
  readonly learner: Learner<State>;
  /** What the learner sees of a network: equally long for all of a space. */
  readonly describe: (facts: NetworkFacts, context: PredictorContext) => readonly number[];
}

/** T = base x exp(learner), the learner fitted to log(T / base) by least squares. */
export function residualPredictor<State>(settings: ResidualSettings<State>): PredictorDefinition {
  const { name, description, minExamples, base, learner, describe } = settings;
  const stateSchema = z.strictObject({ base: z.unknown(), learner: learner.schema });
  const model = (baseModel: LatencyModel, state: State, context: PredictorContext): LatencyModel => ({
    predictMs(arch) {
      const ratio = learner.predict(state, describe(context.facts(arch), context));
      const bounded = Math.max(-LARGEST_LOG_RATIO, Math.min(LARGEST_LOG_RATIO, ratio));
      return baseModel.predictMs(arch) * Math.exp(bounded);
    },
    state: () => ({ base: baseModel.state(), learner: state }),
  });
  return {
    name,
    description,
    minExamples,
    needs: base.needs,
    fit(examples, context) {
      if (examples.length < 0.8 * minExamples) {
        throw new RangeError(
          `Cannot fit latency by "${name}": it needs ${minExamples} whole subnets: there are ${examples.length}`,
        );
      }
      const baseModel = base.fit(examples, context);
      const state = learner.fit(
        examples.map(({ architecture }) => describe(context.facts(architecture), context)),
        examples.map(({ architecture, latencyMs }) =>
          Math.log(latencyMs / baseModel.predictMs(architecture)),
        ),
      );
      return model(baseModel, state, context);
    },
    restore(state, context) {
      const parsed = validate(state, stateSchema, `the state of latency predictor "${name}"`);
      return model(base.restore(parsed.base, context), parsed.learner, context);
    },
  };
}
