/**
 * What is known of an architecture beside its choices, as places behind those of an encoding: the start of its learning
 * curve and its zero-cost proxies. A predictor of all three is what White et al., "How powerful are performance predictors in
 * neural architecture search?" (NeurIPS 2021), call OMNI.
 */
import { UserError } from '../util/errors.js';
import type { LearningCurvePoint } from './dataset.js';
import { joinEncoders } from './encoding.js';
import type { VectorEncoder } from './predictor.js';

export interface KnownArchitecture<A> {
  readonly architecture: A;
  readonly learningCurve?: readonly LearningCurvePoint[];
  readonly proxies?: Readonly<Record<string, number>>;
}

export const EXTRAS = ['learning-curve', 'proxies'] as const;
export type Extra = (typeof EXTRAS)[number];

/**
 * The encoder with the extras' places behind its own. Encoding throws UserError for an architecture that `known` does not
 * have; what is missing of a known one counts as the mean of the others. Places have mean 0 and deviation 1: accuracies of a
 * curve differ too little for predictors that take numbers from 0 to 1 as they are. `keyOf`: equal for equal networks. Throws
 * UserError where no architecture has an extra.
 */
export function withExtras<A>(
  encoder: VectorEncoder<A>,
  known: readonly KnownArchitecture<A>[],
  extras: readonly Extra[],
  keyOf: (arch: A) => string,
): VectorEncoder<A> {
  return joinEncoders([encoder, ...extras.map((extra) => columnsOf(extra, known, keyOf))]);
}

type Row = ReadonlyMap<string, number>;

const rowOf: Readonly<Record<Extra, (known: KnownArchitecture<unknown>) => Row>> = {
  'learning-curve': ({ learningCurve = [] }) => curveRow(learningCurve),
  proxies: ({ proxies = {} }) => proxyRow(proxies),
};

const SOURCES: Readonly<Record<Extra, string>> = {
  'learning-curve': 'measure accuracies with "ofa accuracy sample", which keeps them',
  proxies: 'compute some with "ofa accuracy proxies"',
};

/**
 * Accuracies of the curve, their differences, and the differences of these (Baker et al., "Accelerating neural architecture
 * search using performance prediction", 2017, 3.1).
 */
function curveRow(curve: readonly LearningCurvePoint[]): Row {
  const row = new Map<string, number>();
  let differences = [...curve].sort((a, b) => a.at - b.at);
  for (const name of ['accuracy', 'difference', 'second difference']) {
    for (const { at, top1 } of differences) row.set(`learning curve, ${name} at ${at}`, top1);
    differences = differences.slice(1).map(({ at, top1 }, i) => ({ at, top1: top1 - differences[i]!.top1 }));
  }
  return row;
}

/** With the logarithm of their size: proxies span tens of orders of magnitude. */
function proxyRow(proxies: Readonly<Record<string, number>>): Row {
  return new Map(
    Object.entries(proxies).map(([name, value]) => [
      `proxy ${name}`,
      Math.sign(value) * Math.log1p(Math.abs(value)),
    ]),
  );
}

function columnsOf<A>(
  extra: Extra,
  known: readonly KnownArchitecture<A>[],
  keyOf: (arch: A) => string,
): VectorEncoder<A> {
  const rows = new Map(known.map((one) => [keyOf(one.architecture), rowOf[extra](one)]));
  const labels = [...new Set([...rows.values()].flatMap((row) => [...row.keys()]))].sort();
  if (labels.length === 0)
    throw new UserError(`Cannot use the extra "${extra}": no architecture has it; ${SOURCES[extra]}`);
  const scales = labels.map((label) => {
    const values = [...rows.values()].flatMap((row) => row.get(label) ?? []);
    const mean = values.reduce((sum, value) => sum + value / values.length, 0);
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2 / values.length, 0);
    return { mean, factor: variance > 1e-12 * mean ** 2 ? 1 / Math.sqrt(variance) : 0 };
  });
  return {
    labels,
    encode(arch) {
      const row = rows.get(keyOf(arch));
      if (row === undefined) {
        throw new UserError(
          `Cannot use the extra "${extra}": architecture ${keyOf(arch)} is not among those that were measured`,
        );
      }
      return Float32Array.from(labels, (label, i) => {
        const { mean, factor } = scales[i]!;
        return ((row.get(label) ?? mean) - mean) * factor;
      });
    },
  };
}
