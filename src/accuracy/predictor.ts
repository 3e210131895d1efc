/**
 * Accuracy predictors: from the accuracies of some architectures to those of all. One file each in predictors/.
 *
 * A predictor sees vectors only, so that it serves search spaces and tabular benchmarks alike: `A` is whatever the
 * encoder takes. Accuracies are fractions in [0, 1].
 */
import type { Engine } from '../engine/engine.js';
import type { Architecture } from '../space/architecture.js';
import { UserError } from '../util/errors.js';
import type { Tensor } from '../util/tensor.js';

/** The part of an `Encoder` that predictors need. */
export interface VectorEncoder<A> {
  /** One a place; a file of a predictor holds them, so that it is not used with another encoding. */
  readonly labels: readonly string[];
  encode(arch: A): Float32Array;
}

export interface AccuracySample<A = Architecture> {
  readonly architecture: A;
  /** Fraction in [0, 1]. */
  readonly top1: number;
}

export interface AccuracyPrediction {
  /** Fraction; a predictor may leave [0, 1] far from what it was fitted on. */
  readonly mean: number;
  /** How sure the predictor is of `mean`: the variance of its members. Absent where it cannot tell. */
  readonly variance?: number;
}

/** Everything a fitted predictor is: plain data, float32, so that what is read back predicts the same. */
export interface PredictorState {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly settings: Readonly<Record<string, number | string>>;
}

export interface AccuracyPredictor<A = Architecture> {
  /** Of its definition. */
  readonly name: string;
  /** One prediction an architecture, in order; fast in batches. Throws the encoder's RangeError. */
  predict(archs: readonly A[]): Promise<AccuracyPrediction[]>;
  state(): PredictorState;
  /** Frees compiled programs. Predicting afterwards compiles them again. */
  dispose(): Promise<void>;
}

export interface PredictorContext<A = Architecture> {
  readonly encoder: VectorEncoder<A>;
  readonly engine: Engine;
}

export interface FitContext<A = Architecture> extends PredictorContext<A> {
  readonly seed: number;
  /** Stops fitting with its reason. */
  readonly signal?: AbortSignal;
}

export interface PredictorDefinition {
  readonly name: string;
  readonly description: string;
  /**
   * Any number of samples from 1; the same seed gives the same predictor. Where all accuracies are equal it predicts that
   * accuracy. Throws UserError without samples or for an accuracy that is not a number from 0 to 1.
   */
  fit<A>(samples: readonly AccuracySample<A>[], context: FitContext<A>): Promise<AccuracyPredictor<A>>;
  /** Throws UserError where `state` is not one of its states, or belongs to another encoding. */
  restore<A>(state: PredictorState, context: PredictorContext<A>): AccuracyPredictor<A>;
}

/** For a search: accuracies in order. */
export function accuracyFunction<A>(
  predictor: AccuracyPredictor<A>,
): (archs: readonly A[]) => Promise<number[]> {
  return async (archs) => (await predictor.predict(archs)).map(({ mean }) => mean);
}

/** Row-major [archs.length, labels.length]. Throws the encoder's RangeError. */
export function encodeRows<A>(encoder: VectorEncoder<A>, archs: readonly A[]): Float32Array {
  const width = encoder.labels.length;
  const rows = new Float32Array(archs.length * width);
  archs.forEach((arch, i) => rows.set(encoder.encode(arch), i * width));
  return rows;
}

/** Throws UserError without samples or for an accuracy that is not a number from 0 to 1, naming its place. */
export function checkSamples(samples: readonly AccuracySample<unknown>[]): void {
  if (samples.length === 0) {
    throw new UserError(
      'Cannot fit an accuracy predictor: it needs measured accuracies: there are none; measure some with "ofa accuracy sample"',
    );
  }
  samples.forEach(({ top1 }, i) => {
    if (!(top1 >= 0 && top1 <= 1)) {
      throw new UserError(
        `Cannot fit an accuracy predictor: accuracies must be from 0 to 1: that of sample ${i + 1} is ${top1}`,
      );
    }
  });
}

/** The tensor of a state. Throws UserError where it is missing or of another shape. */
export function stateTensor(
  state: PredictorState,
  predictor: string,
  name: string,
  shape: readonly number[],
): Float32Array {
  const found = state.tensors.get(name);
  if (found === undefined || found.shape.join() !== shape.join()) {
    throw new UserError(
      `Cannot restore accuracy predictor "${predictor}": tensor "${name}" must have shape [${shape.join(', ')}]: ${found === undefined ? 'it is missing' : `its shape is [${found.shape.join(', ')}]`}`,
    );
  }
  return found.data;
}
