/** Accuracy predictors as the regressions that searches guess objectives with. */
import type { AccuracyPredictor, PredictorDefinition, VectorEncoder } from '../accuracy/predictor.js';
import type { Engine } from '../engine/engine.js';
import type { Regressor } from '../search/surrogate.js';
import type { Architecture } from '../space/architecture.js';

/** Where values that are no accuracies are mapped to, so that predictors of accuracies fit them. */
const [LOW, HIGH] = [0.2, 0.8];

/** Any objective by an accuracy predictor: values outside [0, 1] are mapped into it and back, linearly. */
export function predictorRegressor(
  definition: PredictorDefinition,
  encoder: VectorEncoder<Architecture>,
  engine: Engine,
): Regressor {
  return {
    name: definition.name,
    variance: definition.variance,
    async fit(archs, values, seed) {
      const low = values.reduce((a, b) => Math.min(a, b));
      const high = values.reduce((a, b) => Math.max(a, b));
      const fractions = low >= 0 && high <= 1;
      const scale = fractions ? 1 : (high - low || 1) / (HIGH - LOW);
      const offset = fractions ? 0 : low - LOW * scale;
      const predictor: AccuracyPredictor = await definition.fit(
        archs.map((architecture, i) => ({ architecture, top1: (values[i]! - offset) / scale })),
        { encoder, engine, seed },
      );
      return {
        async predict(asked) {
          const rows = new Float32Array(asked.length * encoder.labels.length);
          asked.forEach((arch, i) => rows.set(encoder.encode(arch), i * encoder.labels.length));
          const { mean, variance } = await predictor.predictRows(rows);
          return {
            mean: mean.map((value) => offset + scale * value),
            ...(variance && { variance: variance.map((value) => scale ** 2 * value) }),
          };
        },
        dispose: () => predictor.dispose(),
      };
    },
  };
}
