/** What predictors fit instead of accuracies: standardised, in a scale on which gains are more even. */

/** Errors below this count as this: the logarithm of no error at all would be infinite. */
const LEAST_ERROR = 1e-4;

/** How accuracies become targets; all monotonic, so that ranks stay. */
export const TARGET_SCALES = ['accuracy', 'log-error'] as const;
export type TargetScale = (typeof TARGET_SCALES)[number];

export interface TargetTransform {
  readonly scale: TargetScale;
  readonly mean: number;
  /** 0 where all targets are equal: every prediction is `mean`. */
  readonly deviation: number;
}

function toScale(scale: TargetScale, top1: number): number {
  return scale === 'accuracy' ? top1 : -Math.log(Math.max(1 - top1, LEAST_ERROR));
}

/** The transform that gives `accuracies` mean 0 and deviation 1. */
export function fitTargets(scale: TargetScale, accuracies: readonly number[]): TargetTransform {
  const values = accuracies.map((top1) => toScale(scale, top1));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const deviation = Math.sqrt(variance);
  // Equal accuracies differ from their mean by rounding only.
  return { scale, mean, deviation: deviation > 1e-9 ? deviation : 0 };
}

export function toTarget({ scale, mean, deviation }: TargetTransform, top1: number): number {
  return deviation === 0 ? 0 : (toScale(scale, top1) - mean) / deviation;
}

/** The inverse of `toTarget`. */
export function fromTarget({ scale, mean, deviation }: TargetTransform, target: number): number {
  const value = mean + deviation * target;
  return scale === 'accuracy' ? value : 1 - Math.exp(-value);
}

/** How steeply accuracies rise with targets there: a variance of targets times its square is one of accuracies. */
export function targetSlope({ scale, mean, deviation }: TargetTransform, target: number): number {
  return scale === 'accuracy' ? deviation : deviation * Math.exp(-(mean + deviation * target));
}
