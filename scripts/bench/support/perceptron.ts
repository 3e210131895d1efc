/** OFA's accuracy predictor, three hidden layers of 400, with weights as they are initialised: predictions cost the same. */
import { oneHotEncoder, type Encoder } from '../../../src/accuracy/encoding.js';
import type { AccuracyPredictor, PredictorState } from '../../../src/accuracy/predictor.js';
import { accuracyPredictorByName } from '../../../src/accuracy/predictors/index.js';
import { initDense, mlpParameters, type MlpShape } from '../../../src/accuracy/predictors/mlpGraph.js';
import type { Engine } from '../../../src/engine/engine.js';
import type { SearchSpace } from '../../../src/space/space.js';
import { createRandom } from '../../../src/util/random.js';
import { tensor } from '../../../src/util/tensor.js';

export interface Perceptron {
  readonly predictor: AccuracyPredictor;
  readonly encoder: Encoder;
  readonly shape: MlpShape;
  readonly parameters: Record<string, Float32Array>;
  /** Multiply-accumulates of a prediction. */
  readonly macs: number;
}

export function untrainedPerceptron(space: SearchSpace, engine: Engine): Perceptron {
  const encoder = oneHotEncoder(space);
  const shape = { inputs: encoder.labels.length, width: 400, layers: 3 };
  const shapes = [...mlpParameters(shape)];
  const parameters = initDense(mlpParameters(shape), createRandom(0, 'bench'));
  const state: PredictorState = {
    tensors: new Map([
      ['input.offset', tensor([shape.inputs])],
      ['input.factor', tensor([shape.inputs], new Float32Array(shape.inputs).fill(1))],
      ...shapes.map(([name, own]) => [`member0.${name}`, tensor(own, parameters[name])] as const),
    ]),
    settings: {
      width: shape.width,
      layers: shape.layers,
      members: 1,
      targetScale: 'accuracy',
      targetMean: 0,
      targetDeviation: 1,
    },
  };
  return {
    predictor: accuracyPredictorByName('mlp').restore(state, { encoder, engine }),
    encoder,
    shape,
    parameters,
    macs: shapes.reduce((sum, [, own]) => sum + (own.length === 2 ? own[0]! * own[1]! : 0), 0),
  };
}
