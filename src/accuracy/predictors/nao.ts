/**
 * Neural architecture optimisation: architectures become points of a continuous space in which a head predicts accuracy, so
 * that a search can climb its gradient and decode what it reaches (Luo et al., "Neural architecture optimization", NeurIPS
 * 2018, 3). The authors' encoder and decoder read and write sequences with LSTMs; the spaces here have a fixed list of
 * genes, so both are perceptrons on the encoding.
 */
import { definePredictor } from '../definePredictor.js';
import { fitInputs, scaleInputs } from '../inputs.js';
import {
  checkSamples,
  encodeRows,
  LOSSES,
  type AccuracySample,
  type FitContext,
  type VectorDecoder,
  type VectorEncoder,
} from '../predictor.js';
import { fitTargets, fromTarget, toTarget } from '../targets.js';
import { fitNaoModel, restoreNaoModel } from './naoModel.js';

const NAME = 'nao';

export const naoPredictor = definePredictor({
  name: NAME,
  description:
    "The encoder of neural architecture optimisation with its regression head; NAO's search climbs it",
  variance: false,
  losses: LOSSES,
  fit: fitNaoModel,
  restore: (stored, { engine }) => restoreNaoModel(NAME, stored, engine),
});

/** Architectures as points of a continuous space. Points are row-major [n, embeddingSize]. */
export interface ArchitectureEmbedding<A> {
  readonly embeddingSize: number;
  encode(archs: readonly A[]): Promise<Float32Array>;
  /** Accuracies, fractions, of points. */
  predict(points: Float32Array): Promise<Float64Array>;
  /** Where accuracy rises from each point, [n, embeddingSize]: the gradient of the standardised target, so that its length is about that of points. */
  gradient(points: Float32Array): Promise<Float32Array>;
  /** The architecture that each point stands for; canonical. */
  decode(points: Float32Array): Promise<A[]>;
  dispose(): Promise<void>;
}

export interface EmbeddingContext<A> extends FitContext<A> {
  /** One-hot, as the choice of each gene is read from it. */
  readonly encoder: VectorEncoder<A> & VectorDecoder<A>;
  /** Architectures whose accuracy is not known: they teach the encoder and decoder. A thousand or so make decoding reliable. */
  readonly unlabelled?: readonly A[];
}

/** Throws UserError without samples, or for an accuracy that is not a number from 0 to 1; the signal's reason. */
export async function fitArchitectureEmbedding<A>(
  samples: readonly AccuracySample<A>[],
  context: EmbeddingContext<A>,
): Promise<ArchitectureEmbedding<A>> {
  checkSamples(samples);
  const { encoder, unlabelled = [], target = 'log-error', loss = 'squared' } = context;
  const { labels } = encoder;
  const places = labels.length;
  const rows = encodeRows(
    encoder,
    samples.map(({ architecture }) => architecture),
  );
  const inputs = fitInputs(rows, places);
  const accuracies = samples.map(({ top1 }) => top1);
  const targets = fitTargets(target, accuracies);
  const data = {
    rows: scaleInputs(rows, inputs),
    width: places,
    count: samples.length,
    targets: Float32Array.from(accuracies, (top1) => toTarget(targets, top1)),
    labels,
  };
  const others = scaleInputs(encodeRows(encoder, unlabelled), inputs);
  const model = await fitNaoModel(data, { ...context, loss }, others);
  const size = model.embeddingSize;
  return {
    embeddingSize: size,
    encode: (archs) => model.encode(scaleInputs(encodeRows(encoder, archs), inputs), archs.length),
    async predict(points) {
      const { targets: values } = await model.head(points, points.length / size);
      return Float64Array.from(values, (value) => fromTarget(targets, value));
    },
    async gradient(points) {
      return (await model.head(points, points.length / size)).gradients;
    },
    async decode(points) {
      const count = points.length / size;
      const scores = await model.decode(points, count);
      return Array.from({ length: count }, (_, i) =>
        encoder.decode(scores.subarray(i * places, (i + 1) * places)),
      );
    },
    dispose: () => model.dispose(),
  };
}
