/** Whether differences of measured accuracies, and predictions fitted on them, mean anything; and what would help. */
import {
  chanceTau,
  fractionStandardError,
  kendallTauStandardError,
  rootMeanSquareStandardError,
} from '../util/standardError.js';

/** An accuracy as it was measured. */
export interface MeasuredAccuracy {
  /** Fraction of `count` images. */
  readonly top1: number;
  readonly count: number;
  readonly split: string;
}

/** What a list of measured accuracies tells. Fractions. */
export interface AccuracySpread {
  /** Standard deviation of the accuracies. */
  readonly spread: number;
  /** Root mean square of their standard errors. */
  readonly standardError: number;
  /** Images that the accuracies are of; the fewest of them. */
  readonly images: number;
  readonly split: string;
}

/** Throws RangeError for an empty list. */
export function accuracySpread(measured: readonly MeasuredAccuracy[]): AccuracySpread {
  const [first] = measured;
  if (first === undefined) throw new RangeError('Cannot compute a spread: at least one accuracy is wanted');
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const centre = mean(measured.map(({ top1 }) => top1));
  return {
    spread: Math.sqrt(mean(measured.map(({ top1 }) => (top1 - centre) ** 2))),
    standardError: Math.sqrt(
      mean(measured.map(({ top1, count }) => fractionStandardError(top1, count) ** 2)),
    ),
    images: Math.min(...measured.map(({ count }) => count)),
    split: first.split,
  };
}

/** Networks whose accuracies spread less than so many standard errors differ by noise for the most part. */
const NOISE = 1.5;

const points = (fraction: number): string => `${(100 * fraction).toFixed(1)} points`;

/** What helps against noise of accuracies. */
export const MORE_IMAGES = 'more images in the data set, or a greater ofa train --validation-share';

/** A warning where the accuracies differ hardly more than chance makes them; undefined where they tell networks apart. */
export function spreadDoubt(measured: readonly MeasuredAccuracy[]): string | undefined {
  if (measured.length < 2) return undefined;
  const { spread, standardError, images, split } = accuracySpread(measured);
  if (spread > NOISE * standardError) return undefined;
  return (
    `The accuracies of ${measured.length} networks lie ${points(spread)} apart, hardly more than their standard error of ` +
    `${points(standardError)} on ${images} ${split} images: which is better is mostly chance; what helps: ${MORE_IMAGES}`
  );
}

/** Predictions that were judged; fractions. */
export interface JudgedPrediction {
  readonly predictedTop1: number;
  readonly measuredTop1: number;
}

/** Of figures of predictions. `rmse`: in points of accuracy. */
export interface ScoreStandardErrors {
  readonly kendallTau: number;
  readonly rmse: number;
}

/** 0 for the tau, where one judged prediction tells nothing of it. */
export function scoreStandardErrors(judged: readonly JudgedPrediction[]): ScoreStandardErrors {
  const orZero = (value: number): number => (Number.isFinite(value) ? value : 0);
  return {
    kendallTau: orZero(
      kendallTauStandardError(
        judged.map(({ predictedTop1 }) => predictedTop1),
        judged.map(({ measuredTop1 }) => measuredTop1),
      ),
    ),
    rmse: orZero(
      rootMeanSquareStandardError(
        judged.map(({ predictedTop1, measuredTop1 }) => 100 * (predictedTop1 - measuredTop1)),
      ),
    ),
  };
}

/** A warning where Kendall's tau of `count` networks cannot be told from chance; undefined where it can. */
export function tauDoubt(
  kendallTau: number,
  count: number,
  measured: readonly MeasuredAccuracy[],
): string | undefined {
  const chance = chanceTau(count);
  if (kendallTau > 2 * chance) return undefined;
  const { standardError, images, split } = accuracySpread(measured);
  return (
    `Kendall tau ${kendallTau.toFixed(2)} on ${count} networks cannot be told from chance (±${Number.isNaN(chance) ? '1' : chance.toFixed(2)}): the predictor ranks ` +
    `networks no better than a draw; what helps: more samples (now ${measured.length}), and ${MORE_IMAGES}: accuracies on ${images} ${split} images have a standard error of ${points(standardError)}`
  );
}
