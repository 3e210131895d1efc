/** The tables that `ofa bench search` judges strategies on. */
import { z } from 'zod';
import { readMacroTable } from '../accuracy/benchmarks/macroTable.js';
import { readNasBench201 } from '../accuracy/benchmarks/nasBench201.js';
import { predictedTable } from '../accuracy/benchmarks/predictedTable.js';
import { tabularBenchmark, type TabularBenchmark } from '../accuracy/benchmarks/tabular.js';
import { ONE_DATA_SET, recordsOfOneData, type DataKeys } from '../accuracy/dataKeys.js';
import { readAccuracies } from '../accuracy/dataset.js';
import { createEncoder } from '../accuracy/encoding.js';
import { accuracyPredictorByName } from '../accuracy/predictors/index.js';
import type { Engine } from '../engine/engine.js';
import type { BatchFunction } from '../search/batch.js';
import type { Architecture } from '../space/architecture.js';
import { networkCosts } from '../space/costs.js';
import { countNetworks } from '../space/enumerate.js';
import { geneValue, isActive, type Gene } from '../space/gene.js';
import { limitGenes, type GeneLimits } from '../space/limits.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { parseJson } from '../util/files.js';

export interface BenchTable {
  readonly benchmark: TabularBenchmark;
  /** Where accuracies are predictions: by what, and how well it ranks networks that it was not fitted on. */
  readonly predicted: {
    readonly predictor: string;
    readonly encoding: string;
    readonly samples: number;
    readonly kendallTau: number;
  } | null;
}

/** A benchmark's own table. Throws UserError. */
export async function openPublishedTable(
  name: 'nas-bench-macro' | 'nas-bench-201',
  file: string,
): Promise<BenchTable> {
  const benchmark = await (name === 'nas-bench-macro' ? readMacroTable(file) : readNasBench201(file));
  return { benchmark, predicted: null };
}

const values = z.array(z.number()).nonempty().optional();
const withinSchema = z.strictObject({ image_size: values, d: values, ks: values, e: values, w: values });

/** `text`: JSON with the keys of an architecture, a list of allowed values each. Throws UserError. */
export function parseWithin(text: string): GeneLimits {
  const { image_size: imageSize, d, ks, e, w } = parseJson(text, withinSchema, '--within');
  return {
    ...(imageSize && { imageSize }),
    ...(d && { d }),
    ...(ks && { ks }),
    ...(e && { e }),
    ...(w && { w }),
  };
}

export interface AccuracyTableRequest {
  readonly space: SearchSpace;
  /** An accuracy data set of the space. */
  readonly file: string;
  /** The part of the space that the table is of. */
  readonly within: GeneLimits;
  /** Of the data that accuracies are wanted of, where there are several in the file. */
  readonly dataKeys?: DataKeys;
  /** Adds `latencyMs` to the table, which is then of those networks that it answers. */
  readonly latencyMs?: Pick<BatchFunction, 'coverage'> &
    ((archs: readonly Architecture[]) => ArrayLike<number>);
  readonly engine: Engine;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** What predicts where too few networks were measured: what ranks best of all (docs/search.md). */
const PREDICTOR = 'gp';
const ENCODING = 'combined';
/** Share of the networks that must be measured for a table of measured ones: with fewer, neighbours are mostly missing. */
const MEASURED_SHARE = 0.5;

/**
 * A run's accuracies as a table with `top1`, `macs`, `params` and perhaps `latencyMs`: the measured ones where they are at
 * least half of the networks, else of every network what a predictor fitted on them says. Throws UserError for limits that
 * leave nothing, and as `predictedTable`.
 */
export async function openAccuracyTable(request: AccuracyTableRequest): Promise<BenchTable> {
  const { space, file, within, latencyMs, engine, seed, signal } = request;
  const accuracies = await readAccuracies(file, space);
  const { records } = recordsOfOneData(accuracies, request.dataKeys ?? {}, file, ONE_DATA_SET);
  const all = limited(space, within);
  const { genes } = latencyMs?.coverage?.(all) ?? { genes: all };
  const inside = records.filter(({ architecture }) => isWithin(genes, architecture));
  const costs = (cost: 'macs' | 'params') => (archs: readonly Architecture[]) =>
    archs.map((arch) => networkCosts(space.network(arch))[cost]);
  const columns = { macs: costs('macs'), params: costs('params'), ...(latencyMs && { latencyMs }) };
  if (inside.length >= MEASURED_SHARE * Number(countNetworks(genes))) {
    const archs = inside.map(({ architecture }) => architecture);
    const others = Object.entries(columns).map(([name, ask]) => [name, ask(archs)] as const);
    const entries = inside.map(({ architecture, top1 }, i) => ({
      architecture,
      values: { top1, ...Object.fromEntries(others.map(([name, column]) => [name, column[i]!])) },
    }));
    const known = entries.filter(({ values }) => Object.values(values).every(Number.isFinite));
    return { benchmark: tabularBenchmark(space.name, genes, known), predicted: null };
  }
  const { benchmark, kendallTau } = await predictedTable({
    name: space.name,
    genes,
    samples: records,
    definition: accuracyPredictorByName(PREDICTOR),
    encoder: createEncoder(ENCODING, space),
    columns,
    engine,
    seed,
    ...(signal === undefined ? {} : { signal }),
  });
  const predicted = { predictor: PREDICTOR, encoding: ENCODING, samples: records.length, kendallTau };
  return { benchmark, predicted };
}

function limited({ genes }: SearchSpace, within: GeneLimits): Gene[] {
  try {
    return limitGenes(genes, within);
  } catch (cause) {
    if (cause instanceof RangeError) throw new UserError(cause.message, { cause });
    throw cause;
  }
}

function isWithin(genes: readonly Gene[], arch: Architecture): boolean {
  return genes.every((gene) => !isActive(arch, gene) || gene.choices.includes(geneValue(arch, gene)));
}
