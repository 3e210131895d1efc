/** `ofa bench predictors`: predictors on a tabular benchmark, or on the measured accuracies of a run. */
import { comparePredictors, type PredictorComparison } from '../accuracy/benchmarks/comparePredictors.js';
import { macroEncodings } from '../accuracy/benchmarks/macroEncodings.js';
import { readNasBench201 } from '../accuracy/benchmarks/nasBench201.js';
import { readMacroBenchmark } from '../accuracy/benchmarks/nasBenchMacro.js';
import { ONE_DATA_SET, recordsOfOneData, type DataKeys } from '../accuracy/dataKeys.js';
import { readAccuracies } from '../accuracy/dataset.js';
import { createEncoder, oneHotEncoder, ordinalEncoder } from '../accuracy/encoding.js';
import { withExtras, type Extra } from '../accuracy/extraColumns.js';
import type { Loss, PredictorDefinition, VectorEncoder } from '../accuracy/predictor.js';
import type { TargetScale } from '../accuracy/targets.js';
import type { Engine } from '../engine/engine.js';
import type { Architecture } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import type { SearchSpace } from '../space/space.js';
import { unknownName, UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';

export interface BenchPredictorsSettings {
  readonly definitions: readonly PredictorDefinition[];
  /** Names. */
  readonly encodings: readonly string[];
  readonly targets: readonly TargetScale[];
  readonly losses: readonly Loss[];
  readonly sizes: readonly number[];
  readonly seeds: number;
  readonly engine: Engine;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** The encoders of these names. Throws UserError naming the known ones. */
function pick<A>(
  names: readonly string[],
  known: ReadonlyMap<string, VectorEncoder<A>>,
): Map<string, VectorEncoder<A>> {
  return new Map(
    names.map((name) => {
      const encoder = known.get(name);
      if (encoder === undefined) throw unknownName('encoding', name, [...known.keys()]);
      return [name, encoder];
    }),
  );
}

/** `file`: a table of NAS-Bench-Macro, or a part of one. Throws UserError. */
export async function benchPredictorsOnMacro(
  file: string,
  { encodings: names, ...settings }: BenchPredictorsSettings,
): Promise<PredictorComparison[]> {
  const encoders = pick(names, macroEncodings);
  return comparePredictors({ ...settings, samples: await readMacroBenchmark(file), encoders });
}

/** `file`: NAS-Bench-201 as `ofa bench` reads it. Its cells have choices only, no stages. Throws UserError. */
export async function benchPredictorsOnNasBench201(
  file: string,
  { encodings: names, ...settings }: BenchPredictorsSettings,
): Promise<PredictorComparison[]> {
  const { genes, entries } = await readNasBench201(file);
  const known = [oneHotEncoder({ genes }), ordinalEncoder({ genes })];
  const encoders = pick(names, new Map(known.map((encoder) => [encoder.name, encoder])));
  const samples = entries.flatMap(({ architecture, values }) =>
    values['top1'] === undefined ? [] : [{ architecture, top1: values['top1'] }],
  );
  return comparePredictors({ ...settings, samples, encoders });
}

/**
 * `file`: an accuracy data set of the space. With `extras`, every encoding also with their places behind its own, named
 * `ENCODING+EXTRA`; more than one also all together. Throws UserError.
 */
export async function benchPredictorsOnAccuracies(
  file: string,
  space: SearchSpace,
  extras: readonly Extra[],
  {
    encodings: names,
    dataKeys = {},
    ...settings
  }: BenchPredictorsSettings & { readonly dataKeys?: DataKeys },
): Promise<PredictorComparison[]> {
  const all = await readAccuracies(file, space);
  const { records: samples } = recordsOfOneData(all, dataKeys, file, ONE_DATA_SET);
  if (samples.length === 0) {
    throw new UserError(`Cannot compare predictors on ${file}: it must hold accuracies: there are none`);
  }
  const keyOf = (arch: Architecture): string => architectureKey(space.genes, arch);
  const sets = [...extras.map((extra) => [extra]), ...(extras.length > 1 ? [extras] : [])];
  const encoders = new Map<string, VectorEncoder<Architecture>>();
  for (const name of names) {
    const encoder = createEncoder(name, space);
    encoders.set(name, encoder);
    for (const set of sets) encoders.set([name, ...set].join('+'), withExtras(encoder, samples, set, keyOf));
  }
  return comparePredictors({ ...settings, samples, encoders });
}

/** A line for every predictor, encoding, target and loss, with the Kendall tau for each number of samples. */
export function comparisonTable(rows: readonly PredictorComparison[]): {
  readonly header: string[];
  readonly lines: string[][];
} {
  const sizes = [...new Set(rows.map(({ fitted }) => fitted))];
  const lines = new Map<string, string[]>();
  for (const { predictor, encoding, target, loss, fitted, kendallTau } of rows) {
    const names = [predictor, encoding, target, loss];
    const line = lines.get(names.join()) ?? [...names, ...sizes.map(() => '-')];
    line[names.length + sizes.indexOf(fitted)] = kendallTau.toFixed(3);
    lines.set(names.join(), line);
  }
  return {
    header: ['predictor', 'encoding', 'target', 'loss', ...sizes.map((size) => `tau, ${size} samples`)],
    lines: [...lines.values()],
  };
}
