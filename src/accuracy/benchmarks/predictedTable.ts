/**
 * A table of a whole space from the accuracies of a few of its networks: a predictor fitted on them answers for all, as in
 * Zela et al., "Surrogate NAS benchmarks: going beyond the limited search spaces of tabular NAS benchmarks" (ICLR 2022).
 * Smoother than measured accuracies would be, so strategies with a model have it easier here than there.
 */
import type { Engine } from '../../engine/engine.js';
import type { Architecture } from '../../space/architecture.js';
import { countNetworks, enumerateArchitectures } from '../../space/enumerate.js';
import type { Gene } from '../../space/gene.js';
import { UserError } from '../../util/errors.js';
import { crossValidate } from '../evaluate.js';
import type { AccuracySample, PredictorDefinition, VectorEncoder } from '../predictor.js';
import { tabularBenchmark, type TabularBenchmark } from './tabular.js';

/** Networks of a table, at most. */
export const MOST_NETWORKS = 100_000;
/** Samples, at least: fewer say next to nothing of a space. */
export const FEWEST_SAMPLES = 20;
const FOLDS = 3;

export interface PredictedTableOptions {
  readonly name: string;
  /** Of a space, whole or limited; samples may be of all of it. */
  readonly genes: readonly Gene[];
  readonly samples: readonly AccuracySample[];
  readonly definition: PredictorDefinition;
  readonly encoder: VectorEncoder<Architecture>;
  /** Other values, by name. */
  readonly columns: Readonly<Record<string, (archs: readonly Architecture[]) => ArrayLike<number>>>;
  readonly engine: Engine;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

export interface PredictedTable {
  readonly benchmark: TabularBenchmark;
  /** How well the predictor ranks samples that it was not fitted on (threefold cross-validation). */
  readonly kendallTau: number;
}

/** Throws UserError for fewer than `FEWEST_SAMPLES`, for equal accuracies, and for more than `MOST_NETWORKS`. */
export async function predictedTable(options: PredictedTableOptions): Promise<PredictedTable> {
  const { name, genes, samples, definition, encoder, columns, engine, seed, signal } = options;
  const cannot = (reason: string): never => {
    throw new UserError(`Cannot make a table of space "${name}": ${reason}`);
  };
  const networks = countNetworks(genes);
  if (networks > BigInt(MOST_NETWORKS)) {
    cannot(
      `it must have ${MOST_NETWORKS} networks at most: it has ${networks}; limit it, e.g. to one image size`,
    );
  }
  if (samples.length < FEWEST_SAMPLES)
    cannot(`at least ${FEWEST_SAMPLES} measured accuracies are wanted: there are ${samples.length}`);
  if (samples.every(({ top1 }) => top1 === samples[0]!.top1))
    cannot(`accuracies must differ: all ${samples.length} are ${samples[0]!.top1}`);
  const context = { encoder, engine, seed, ...(signal === undefined ? {} : { signal }) };
  const { kendallTau } = await crossValidate(definition, samples, FOLDS, context);
  const predictor = await definition.fit(samples, context);
  try {
    const archs = [...enumerateArchitectures(genes)];
    const accuracies = await predictor.predict(archs);
    const others = Object.entries(columns).map(([column, ask]) => [column, ask(archs)] as const);
    const entries = archs.map((architecture, i) => ({
      architecture,
      values: {
        top1: accuracies[i]!.mean,
        ...Object.fromEntries(others.map(([column, values]) => [column, values[i]!])),
      },
    }));
    // A column that is infinite does not know the network.
    const known = entries.filter(({ values }) => Object.values(values).every(Number.isFinite));
    return { benchmark: tabularBenchmark(name, genes, known), kendallTau };
  } finally {
    await predictor.dispose();
  }
}
