/** Predictors side by side on samples whose accuracy is known. */
import type { Engine } from '../../engine/engine.js';
import { UserError } from '../../util/errors.js';
import { silentLogger, type Logger } from '../../util/logger.js';
import { fitAndEvaluate } from '../evaluate.js';
import {
  checkSamples,
  type AccuracySample,
  type Loss,
  type PredictorDefinition,
  type VectorEncoder,
} from '../predictor.js';
import type { TargetScale } from '../targets.js';

export interface ComparisonOptions<A> {
  /** Distinct networks. */
  readonly samples: readonly AccuracySample<A>[];
  readonly definitions: readonly PredictorDefinition[];
  /** By name. */
  readonly encoders: ReadonlyMap<string, VectorEncoder<A>>;
  readonly targets: readonly TargetScale[];
  /** Predictors that do not have one are left out of it. */
  readonly losses: readonly Loss[];
  /** Numbers of samples to fit on; judged on all others. */
  readonly sizes: readonly number[];
  /** Every figure is the mean over the seeds 0 to this - 1: each draws samples and weights of its own. */
  readonly seeds: number;
  readonly engine: Engine;
  readonly logger?: Logger;
  readonly signal?: AbortSignal;
}

export interface PredictorComparison {
  readonly predictor: string;
  readonly encoding: string;
  readonly target: TargetScale;
  readonly loss: Loss;
  /** Samples it was fitted on, and judged on. */
  readonly fitted: number;
  readonly heldOut: number;
  /** Means over the seeds; `rmse` in points of accuracy. */
  readonly kendallTau: number;
  readonly rmse: number;
  /** Standard deviation of `kendallTau` over the seeds. */
  readonly kendallTauDeviation: number;
}

/** One row a combination, in the order of the options. Throws UserError for a size that leaves nothing to judge on. */
export async function comparePredictors<A>(options: ComparisonOptions<A>): Promise<PredictorComparison[]> {
  const { samples, definitions, encoders, targets, losses, sizes, seeds, engine, signal } = options;
  checkSamples(samples);
  for (const size of sizes) {
    if (size >= 1 && size < samples.length) continue;
    throw new UserError(
      `Cannot compare predictors: samples to fit on must be from 1 to ${samples.length - 1}, as there are ${samples.length} networks: current value is ${size}`,
    );
  }
  const combinations = definitions.flatMap((definition) =>
    [...encoders].flatMap(([encoding, encoder]) =>
      targets.flatMap((target) =>
        losses
          .filter((loss) => definition.losses.includes(loss))
          .flatMap((loss) =>
            sizes.map((fitted) => ({ definition, encoding, encoder, target, loss, fitted })),
          ),
      ),
    ),
  );
  const progress = (options.logger ?? silentLogger).progress('Predictors', combinations.length * seeds);
  const rows: PredictorComparison[] = [];
  try {
    for (const { definition, encoding, encoder, target, loss, fitted } of combinations) {
      const taus: number[] = [];
      let rmse = 0;
      for (let seed = 0; seed < seeds; seed++) {
        signal?.throwIfAborted();
        const context = { encoder, engine, seed, target, loss, ...(signal === undefined ? {} : { signal }) };
        const heldOut = samples.length - fitted;
        const { predictor, score } = await fitAndEvaluate(definition, samples, heldOut, context);
        await predictor.dispose();
        taus.push(score.kendallTau);
        rmse += score.rmse / seeds;
        progress.update(rows.length * seeds + seed + 1, `${definition.name}, ${encoding}, ${fitted} samples`);
      }
      const kendallTau = taus.reduce((sum, tau) => sum + tau, 0) / seeds;
      const variance = taus.reduce((sum, tau) => sum + (tau - kendallTau) ** 2, 0) / seeds;
      rows.push({
        predictor: definition.name,
        encoding,
        target,
        loss,
        fitted,
        heldOut: samples.length - fitted,
        kendallTau,
        rmse,
        kendallTauDeviation: Math.sqrt(variance),
      });
    }
    return rows;
  } finally {
    progress.stop();
  }
}
