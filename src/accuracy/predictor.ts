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
import type { TargetScale } from './targets.js';

/** The part of an `Encoder` that predictors need. */
export interface VectorEncoder<A> {
  /** One a place; a file of a predictor holds them, so that it is not used with another encoding. */
  readonly labels: readonly string[];
  encode(arch: A): Float32Array;
  /** Writes the vector into `rows` from `offset` on, where there are zeros; quicker than `encode` for thousands. */
  encodeInto?(arch: A, rows: Float32Array, offset: number): void;
}

/** An encoder that can be undone. */
export interface VectorDecoder<A> {
  /**
   * The architecture that scores say, one a place of the encoding: of each gene the choice with the highest score.
   * Canonical. `scores`: [labels.length].
   */
  decode(scores: Float32Array): A;
}

export interface AccuracySample<A = Architecture> {
  readonly architecture: A;
  /** Fraction in [0, 1]. */
  readonly top1: number;
}

export interface AccuracyPrediction {
  /** Fraction; a predictor may leave [0, 1] far from what it was fitted on. */
  readonly mean: number;
  /** How sure the predictor is of `mean`: of its members, or of its posterior. Absent where it cannot tell. */
  readonly variance?: number;
}

/** One place a row. */
export interface RowPredictions {
  readonly mean: Float64Array;
  readonly variance?: Float64Array;
}

/** Everything a fitted predictor is: plain data, float32, so that what is read back predicts the same. */
export interface PredictorState {
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly settings: Readonly<Record<string, number | string>>;
}

export interface AccuracyPredictor<A = Architecture> {
  /** Of its definition. */
  readonly name: string;
  /** What each place of a row means: its encoder's. */
  readonly labels: readonly string[];
  /** One prediction an architecture, in order; fast in batches. Throws the encoder's RangeError. */
  predict(archs: readonly A[]): Promise<AccuracyPrediction[]>;
  /** The same of vectors that are encoded already, row-major [n, labels.length]; they are not changed. */
  predictRows(rows: Float32Array): Promise<RowPredictions>;
  state(): PredictorState;
  /** Frees compiled programs. Predicting afterwards compiles them again. */
  dispose(): Promise<void>;
}

export interface PredictorContext<A = Architecture> {
  readonly encoder: VectorEncoder<A>;
  readonly engine: Engine;
}

/**
 * What a network is trained to: the least square error, or the right order of pairs (`hinge` and `logistic`, see
 * predictors/losses.ts).
 */
export const LOSSES = ['squared', 'hinge', 'logistic'] as const;
export type Loss = (typeof LOSSES)[number];

export interface FitOptions {
  /** What is fitted; default `log-error`. */
  readonly target?: TargetScale;
  /** Default `squared`. */
  readonly loss?: Loss;
}

export interface FitContext<A = Architecture> extends PredictorContext<A>, FitOptions {
  readonly seed: number;
  /** Stops fitting with its reason. */
  readonly signal?: AbortSignal;
}

export interface PredictorDefinition {
  readonly name: string;
  readonly description: string;
  /** Whether predictions have a variance. */
  readonly variance: boolean;
  /** Losses it can be fitted to. */
  readonly losses: readonly Loss[];
  /**
   * Any number of samples from 1; the same seed gives the same predictor. Where all accuracies are equal it predicts that
   * accuracy. Throws UserError without samples, for an accuracy that is not a number from 0 to 1, for a vector that is not
   * finite, and for a loss that it does not have.
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
  if (encoder.encodeInto === undefined) archs.forEach((arch, i) => rows.set(encoder.encode(arch), i * width));
  else archs.forEach((arch, i) => encoder.encodeInto!(arch, rows, i * width));
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
