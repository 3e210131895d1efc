/** `ofa accuracy proxies`: zero-cost scores of subnets, and how well they rank measured accuracies. */
import { dirname } from 'node:path';
import { recordsOfOneData, type DataKeys } from '../accuracy/dataKeys.js';
import { readAccuracies, writeAccuracies, type AccuracyRecord } from '../accuracy/dataset.js';
import { BlockPasses } from '../accuracy/proxies/passes.js';
import { plainBlocks, type ProxyDefinition } from '../accuracy/proxies/proxy.js';
import type { Batch } from '../data/batchSource.js';
import type { Loader } from '../data/loader.js';
import type { Architecture } from '../space/architecture.js';
import { networkCosts } from '../space/costs.js';
import type { SearchSpace } from '../space/space.js';
import { initialiseNetwork } from '../supernet/weights.js';
import { InterruptedError, UserError } from '../util/errors.js';
import { withFolderLock } from '../util/lock.js';
import type { Logger } from '../util/logger.js';
import { kendallTauB, spearmanRho } from '../util/statistics.js';
import type { Runtime } from './runtime.js';

export interface ProxyScorerOptions {
  readonly space: SearchSpace;
  readonly loader: Loader;
  readonly runtime: Runtime;
  readonly proxies: readonly ProxyDefinition[];
  /** Of the one batch that a score is computed from; Zero-Cost NAS takes 64. */
  readonly images: number;
  /** Of the initial weights, and of which images are drawn. */
  readonly seed: number;
}

/**
 * Scores by name of a network as it is initialised, by itself: no weights of a supernet. Scores that are not finite are
 * left out. Training images, augmented as in training. Throws UserError where there are too few of them.
 */
export function createProxyScorer(
  options: ProxyScorerOptions,
): (arch: Architecture) => Promise<Record<string, number>> {
  const { space, loader, runtime, proxies, images: count, seed } = options;
  const passes = new BlockPasses(runtime.programs);
  const batches = new Map<number, Batch>();
  const batchOf = async (imageSize: number): Promise<Batch> => {
    const known = batches.get(imageSize);
    if (known !== undefined) return known;
    const { value } = await loader.calibrationBatches(count, count, imageSize, seed).next();
    if (value === undefined || value.labels.length < 2) {
      throw new UserError(
        'Cannot compute zero-cost proxies: at least two training images are needed: there are fewer',
      );
    }
    batches.set(imageSize, value);
    return value;
  };
  return async (arch) => {
    const network = space.network(arch);
    const { images, labels } = await batchOf(network.input.height);
    const input = {
      blocks: plainBlocks(network),
      tensors: initialiseNetwork(network, seed),
      images,
      labels,
      passes,
    };
    const scores: Record<string, number> = {};
    for (const proxy of proxies) {
      const score = await proxy.score(input);
      if (Number.isFinite(score)) scores[proxy.name] = score;
    }
    return scores;
  };
}

/** How a score ranks networks whose accuracies were measured. */
export interface ProxyRanking {
  readonly name: string;
  /** Networks that have the score. */
  readonly networks: number;
  /** Tau-b and Spearman's rho against top-1; null where either list is constant. */
  readonly kendallTau: number | null;
  readonly spearman: number | null;
}

export interface ProxyReport {
  readonly file: string;
  readonly count: number;
  /** In the order asked for. */
  readonly proxies: readonly ProxyRanking[];
  /** What costs nothing at all: MACs and parameters. A proxy is worth something where it beats them. */
  readonly baselines: readonly ProxyRanking[];
}

export interface ProxyRequest {
  readonly space: SearchSpace;
  /** An accuracy data set; the scores are added to it. */
  readonly file: string;
  /** Of the data that accuracies are wanted of, where there are several in the file. */
  readonly keys?: DataKeys;
  readonly score: (arch: Architecture) => Promise<Record<string, number>>;
  readonly names: readonly string[];
  /** Computes also what the file holds already. */
  readonly again: boolean;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** Relative difference that two runs of the same computation may have, on other machines or threads. */
const SAME = 1e-2;
/** Scored networks between two writes of the file. */
const SAVE_EVERY = 50;

/**
 * Scores the networks of the file that lack a score, and ranks all. Throws UserError where there is nothing to score, and
 * where scores in the file were computed from other images or initial weights, or another process writes into its folder;
 * InterruptedError after the signal, when what was computed is in the file.
 */
export function scoreAccuracyData(request: ProxyRequest): Promise<ProxyReport> {
  const purpose = { action: 'add proxies in', instead: 'give a copy of the file with --from' };
  return withFolderLock(dirname(request.file), purpose, () => scoreAlone(request));
}

/** With the lock of the file's folder, as who samples accuracies has. */
async function scoreAlone(request: ProxyRequest): Promise<ProxyReport> {
  const { space, file, score, names, again, logger, signal, keys = {} } = request;
  const all = await readAccuracies(file, space);
  const remedy = 'measure some with "ofa accuracy sample" on these';
  const records = [...recordsOfOneData(all, keys, file, remedy).records];
  const others = all.filter((record) => !records.includes(record));
  if (records.length === 0) {
    throw new UserError(
      `Cannot rank by zero-cost proxies: measured accuracies are needed: there are none in ${file}; measure some with "ofa accuracy sample"`,
    );
  }
  const has = ({ proxies = {} }: AccuracyRecord): boolean => names.every((name) => name in proxies);
  const earlier = again ? undefined : records.find(({ proxies = {} }) => names.some((n) => n in proxies));
  if (earlier !== undefined) checkSame(file, earlier, await score(earlier.architecture));
  const progress = logger.progress('Zero-cost proxies', records.length);
  let unsaved = 0;
  const save = async (): Promise<void> => {
    if (unsaved > 0) await writeAccuracies(file, [...records, ...others]);
    unsaved = 0;
  };
  try {
    for (const [i, record] of records.entries()) {
      if (again || !has(record)) {
        if (signal?.aborted === true) {
          await save();
          throw new InterruptedError(
            `Scoring was interrupted after ${i} of ${records.length} networks; run the same command again to go on`,
          );
        }
        const kept = Object.fromEntries(
          Object.entries(record.proxies ?? {}).filter(([name]) => !names.includes(name)),
        );
        records[i] = { ...record, proxies: { ...kept, ...(await score(record.architecture)) } };
        unsaved++;
        if (unsaved >= SAVE_EVERY) await save();
      }
      progress.update(i + 1);
    }
    await save();
  } finally {
    progress.stop();
  }
  const costs = records.map(({ architecture }) => networkCosts(space.network(architecture)));
  return {
    file,
    count: records.length,
    proxies: names.map((name) => rank(name, records, ({ proxies }) => proxies?.[name])),
    baselines: (['macs', 'params'] as const).map((name) => rank(name, records, (_, i) => costs[i]![name])),
  };
}

function checkSame(file: string, { proxies = {} }: AccuracyRecord, now: Record<string, number>): void {
  for (const [name, value] of Object.entries(now)) {
    const before = proxies[name];
    if (before === undefined || Math.abs(before - value) <= SAME * Math.max(1e-6, Math.abs(before))) continue;
    throw new UserError(
      `Cannot add scores to ${file}: they must be computed as those it holds: "${name}" of its first scored network is ${before} there, now ${value}; give the same data set, images and seed, or --again to compute all anew`,
    );
  }
}

function rank(
  name: string,
  records: readonly AccuracyRecord[],
  scoreOf: (record: AccuracyRecord, i: number) => number | undefined,
): ProxyRanking {
  const pairs = records.flatMap((record, i) => {
    const score = scoreOf(record, i);
    return score === undefined ? [] : [{ score, top1: record.top1 }];
  });
  const scores = pairs.map(({ score }) => score);
  const accuracies = pairs.map(({ top1 }) => top1);
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return {
    name,
    networks: pairs.length,
    kendallTau: orNull(kendallTauB(scores, accuracies)),
    spearman: orNull(spearmanRho(scores, accuracies)),
  };
}
