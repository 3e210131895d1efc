import { z } from 'zod';
import { UserError } from '../util/errors.js';
import { validate } from '../util/files.js';
import { createRandom } from '../util/random.js';
import { sampleArchitecture } from '../space/sampling.js';
import { predictorContext, type PredictorContext } from './context.js';
import { checkGeneWeights, fitGeneWeights } from './geneRidge.js';
import type { LatencyModel, LatencyPredictor, PredictorDefinition } from './predictor.js';
import { fitTransfer, referenceOf, transferMs, transferRow, type Reference } from './transfer.js';
import type { TransferSource } from './transferSource.js';
import type { SearchSpace } from '../space/space.js';

const stateSchema = z.strictObject({ weights: z.array(z.number()) });

const REFERENCE_NETWORKS = 200;
const SOURCE_NETWORKS = 1200;

/** The same networks for the same space: the parts' meaning must not change between fitting and predicting. */
function reference(context: PredictorContext): Reference {
  const { space, sources } = context;
  for (const { device, weights } of sources)
    checkGeneWeights(weights, context, `what is known of device "${device}"`);
  const random = createRandom('reference networks of a transfer', space.name);
  const networks = Array.from({ length: REFERENCE_NETWORKS }, () =>
    context.facts(sampleArchitecture(space.genes, random)),
  );
  return referenceOf(sources, networks);
}

/** Remembered by context: cross-validation fits twenty times with the same sources. */
const references = new WeakMap<PredictorContext, Reference>();

function referenceFor(context: PredictorContext): Reference {
  let known = references.get(context);
  if (known === undefined) references.set(context, (known = reference(context)));
  return known;
}

/** How the parts of a network are computed in this context. */
export function transferRows(
  context: PredictorContext,
): (arch: SearchSpace['largest']) => ReturnType<typeof transferRow> {
  if (context.sources.length === 0)
    throw new UserError('Cannot learn from other devices: the latency table knows of none');
  const known = referenceFor(context);
  return (arch) => transferRow(context.sources, known, context.facts(arch));
}

function transferModel(weights: readonly number[], context: PredictorContext): LatencyModel {
  const row = transferRows(context);
  return {
    predictMs: (arch) => Math.max(transferMs(row(arch), weights), 1e-6),
    state: () => ({ weights: [...weights] }),
  };
}

/** From 5 whole subnets on, by what other devices' tables know; see transfer.ts. */
export const transferPredictor: PredictorDefinition = {
  name: 'transfer',
  description: 'From what is known of other devices; 10 to 30 whole subnets are enough',
  minExamples: 5,
  needs: ['sources'],
  fit(examples, context) {
    if (examples.length < 4) {
      throw new RangeError(
        `Cannot learn from other devices: it needs 5 whole subnets: there are ${examples.length}`,
      );
    }
    const row = transferRows(context);
    const weights = fitTransfer(
      examples.map(({ architecture }) => row(architecture)),
      examples.map(({ latencyMs }) => latencyMs),
    );
    return transferModel(weights, context);
  },
  restore(state, context) {
    const { weights } = validate(state, stateSchema, 'the state of latency predictor "transfer"');
    const wanted = transferRows(context)(context.space.smallest).parts.length;
    if (weights.length !== wanted) {
      throw new UserError(
        `Cannot use the state of latency predictor "transfer": it must have ${wanted} weights: it has ${weights.length}`,
      );
    }
    return transferModel(weights, context);
  },
};

/**
 * A device's latencies as a rule of their own: its predictor asked about random networks, and a regression on every
 * choice fitted to the answers. Throws what the predictor throws for a network of its space.
 */
export function distilSource(
  device: string,
  space: SearchSpace,
  predictor: LatencyPredictor,
): TransferSource {
  const random = createRandom('networks of a known device', space.name);
  const examples = Array.from({ length: SOURCE_NETWORKS }, () => {
    const architecture = sampleArchitecture(space.genes, random);
    return { architecture, latencyMs: predictor.predict(architecture).latencyMs };
  });
  return { device, weights: fitGeneWeights(examples, predictorContext({ space }), [1e-5, 1e-3]) };
}
