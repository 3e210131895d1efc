/**
 * Accuracy of subnets. Shared batch-norm statistics fit no subnet, so each one's are recalibrated first: batch norm runs
 * on batch statistics over training images, whose means and (biased, within-batch) variances are averaged, weighted by
 * batch size (`EN/utils.py:16-83`). Then the subnet runs as the plain network that would be exported.
 */
import type { Batch } from '../data/batchSource.js';
import type { Split } from '../data/dataset.js';
import type { Loader } from '../data/loader.js';
import type { Engine } from '../engine/engine.js';
import type { Graph } from '../graph/graph.js';
import { inferenceGraph } from '../graph/network.js';
import { foldBatchNorm } from '../lowering/passes/foldBatchNorm.js';
import type { Architecture } from '../space/architecture.js';
import type { Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import { extractSubnet, staticNetwork } from '../supernet/subnet.js';
import type { SupernetWeights } from '../supernet/weights.js';
import { UserError } from '../util/errors.js';
import { sizeOf, tensor, type Tensor } from '../util/tensor.js';
import { calibrateSubnet } from './calibration.js';
import { ScoreSum, type Score } from './score.js';
import { SharedBatches, type BatchReader } from './sharedBatches.js';

/** What subnets run on; programs of one pair run one after the other. */
export interface EvaluationEngines {
  /** Runs what batch norm's statistics are taken from. */
  readonly training: Engine;
  /** Runs the folded network. */
  readonly inference: Engine;
}

export interface EvaluatorOptions {
  readonly space: SearchSpace;
  /** Read at every call: a trainer may go on changing them. */
  readonly weights: SupernetWeights;
  readonly loader: Loader;
  readonly engines: EvaluationEngines;
  readonly settings?: Partial<EvaluationSettings>;
}

export interface EvaluationSettings {
  /** Training images for batch-norm statistics; the reference takes 2,000 in batches of 200. */
  readonly calibrationImages: number;
  readonly calibrationBatch: number;
  readonly calibrationSeed: number;
  readonly evaluationBatch: number;
  /** At most this many images of a split; all of them unless given. */
  readonly limit: number | undefined;
  /** Batches are kept in memory for the next subnet, up to this many bytes. */
  readonly cacheBytes: number;
}

export interface EvaluateOptions {
  /** Default true. */
  readonly calibrate?: boolean;
  /** From `calibrate`, where they are known already. */
  readonly statistics?: ReadonlyMap<string, Tensor>;
  /** Shares of the images, in (0, 1), ascending: the accuracies so far are noted there. */
  readonly shares?: readonly number[];
  /** Scores class by class, too. */
  readonly byClass?: boolean;
}

/** How many subnets are scored together. Their scores do not depend on it. */
export interface Throughput {
  /** Subnets run on several side by side; where there are several, they read inputs from shared memory. */
  readonly lanes: readonly EvaluationEngines[];
  readonly evaluationBatch: number;
}

export interface EvaluateAllOptions {
  /** As in `EvaluateOptions`. */
  readonly shares?: readonly number[];
  /** Default: one after the other, on the evaluator's own engines. */
  readonly throughput?: Throughput;
  /** Ends the call early; what was not told by then is lost. */
  readonly signal?: AbortSignal;
}

/** Subnets of a lane that share a pass over images that do not fit into memory. */
const SUBNETS_A_PASS = 4;

export const DEFAULT_EVALUATION: EvaluationSettings = {
  calibrationImages: 2000,
  calibrationBatch: 200,
  calibrationSeed: 937162211,
  evaluationBatch: 100,
  limit: undefined,
  cacheBytes: 512 * 2 ** 20,
};

export class SubnetEvaluator {
  readonly settings: EvaluationSettings;
  private readonly batches = new Map<string, readonly Batch[]>();
  private cachedBytes = 0;

  constructor(private readonly options: EvaluatorOptions) {
    this.settings = { ...DEFAULT_EVALUATION, ...options.settings };
  }

  /** Recalibrated batch-norm statistics by full name. */
  async calibrate(arch: Architecture): Promise<Map<string, Tensor>> {
    const { engines, weights, space } = this.options;
    const network = space.network(arch);
    const batches = this.cached(`calibration ${arch.imageSize}`, () =>
      this.calibrationBatches(arch.imageSize),
    );
    return calibrateSubnet(network, extractSubnet(weights, network), batches, engines.training);
  }

  /**
   * Accuracy and loss on a split. `calibrate: false` takes the supernet's own statistics, which fit the largest subnet
   * at best. Throws RangeError for an architecture outside the space.
   */
  async evaluate(arch: Architecture, split: Split, options: EvaluateOptions = {}): Promise<Score> {
    const { weights, space } = this.options;
    const network = space.network(arch);
    const statistics =
      options.calibrate === false ? undefined : (options.statistics ?? (await this.calibrate(arch)));
    return this.score(network, extractSubnet(weights, network, statistics), split, options);
  }

  /** Accuracy and loss of a stand-alone subnet (`extractSubnet`); `learningCurve` and `byClass` where they are asked for. */
  async score(
    network: Network,
    tensors: ReadonlyMap<string, Tensor>,
    split: Split,
    { shares, byClass = false }: Pick<EvaluateOptions, 'shares' | 'byClass'> = {},
  ): Promise<Score> {
    const { evaluationBatch } = this.settings;
    const size = network.input.height;
    const batches = this.cached(`${split} ${size}`, () =>
      this.evaluationBatches(split, size, evaluationBatch),
    );
    const { inference } = this.options.engines;
    const sum = await runScore(network, tensors, batches, evaluationBatch, inference);
    const score = requireImages(sum, split, shares);
    return byClass ? { ...score, byClass: sum.byClass() } : score;
  }

  /**
   * Scores of many subnets, recalibrated, as `evaluate` gives them one by one; `tell` hears each when it is known, in any
   * order, and is not called again before its promise settles. Subnets of one image size follow each other, and batches of a
   * size are loaded once where `cacheBytes` hold them, else once for several subnets. Rejects as `evaluate`, and as `tell`
   * does.
   */
  async evaluateAll(
    archs: readonly Architecture[],
    split: Split,
    tell: (index: number, score: Score) => Promise<void>,
    { shares = [], throughput = this.oneByOne, signal }: EvaluateAllOptions = {},
  ): Promise<void> {
    const { lanes, evaluationBatch } = throughput;
    const { cacheBytes } = this.settings;
    // Its batches come in shared memory, and of one size at a time.
    this.batches.clear();
    this.cachedBytes = 0;
    const bySize = new Map<number, number[]>();
    archs.forEach(({ imageSize }, i) => bySize.set(imageSize, [...(bySize.get(imageSize) ?? []), i]));
    const place = lanes.length > 1 ? inSharedMemory : (batches: AsyncIterable<Batch>) => batches;
    let telling: Promise<void> = Promise.resolve();
    for (const [size, indices] of [...bySize].sort(([a], [b]) => a - b)) {
      const fits = this.imageBytes(size, split) <= cacheBytes;
      const together = fits ? indices.length : SUBNETS_A_PASS * lanes.length;
      for (let start = 0; start < indices.length; start += together) {
        const group = indices.slice(start, start + together);
        const open = (batches: () => AsyncIterable<Batch>): SharedBatches =>
          new SharedBatches(() => place(batches()), fits ? Infinity : cacheBytes / 2);
        const calibration = open(() => this.calibrationBatches(size));
        const evaluation = open(() => this.evaluationBatches(split, size, evaluationBatch));
        let stopped = false;
        const going = (): boolean => !stopped && signal?.aborted !== true;
        const one = async (index: number, engines: EvaluationEngines): Promise<void> => {
          const readers = [calibration.join(), evaluation.join()] as const;
          try {
            const score = await this.scoreOn(engines, archs[index]!, readers, evaluationBatch, going);
            if (!going()) return;
            telling = telling.then(() => tell(index, requireImages(score, split, shares)));
            await telling;
          } finally {
            for (const reader of readers) reader.leave();
          }
        };
        const next = group.values();
        const slots = Array.from({ length: fits ? lanes.length : group.length }, async (_, slot) => {
          try {
            for (const index of next) {
              if (!going()) return;
              await one(index, lanes[slot % lanes.length]!);
            }
          } catch (error) {
            stopped = true;
            throw error;
          }
        });
        const ended = await Promise.allSettled(slots);
        await calibration.close();
        await evaluation.close();
        for (const each of ended) if (each.status === 'rejected') throw each.reason;
        if (signal?.aborted === true) return;
      }
    }
  }

  private get oneByOne(): Throughput {
    return { lanes: [this.options.engines], evaluationBatch: this.settings.evaluationBatch };
  }

  /** Stops between two batches when it is not `going` any more; then the result is worth nothing. */
  private async scoreOn(
    { training, inference }: EvaluationEngines,
    arch: Architecture,
    [calibration, evaluation]: readonly [BatchReader, BatchReader],
    evaluationBatch: number,
    going: () => boolean,
  ): Promise<ScoreSum> {
    const { weights, space } = this.options;
    const network = space.network(arch);
    const tensors = extractSubnet(weights, network);
    const statistics = await calibrateSubnet(network, tensors, whilst(going, calibration.read()), training);
    calibration.leave();
    if (!going()) return new ScoreSum();
    const calibrated = new Map([...tensors, ...statistics]);
    return runScore(network, calibrated, whilst(going, evaluation.read()), evaluationBatch, inference);
  }

  private calibrationBatches(size: number): AsyncGenerator<Batch, void> {
    const { calibrationImages, calibrationBatch, calibrationSeed } = this.settings;
    return this.options.loader.calibrationBatches(calibrationImages, calibrationBatch, size, calibrationSeed);
  }

  private evaluationBatches(split: Split, size: number, batch: number): AsyncGenerator<Batch, void> {
    return this.options.loader.evaluationBatches(split, size, batch, this.settings.limit);
  }

  /** Of all batches that a subnet of that size is scored with. */
  private imageBytes(size: number, split: Split): number {
    const { dataset } = this.options.loader;
    const { calibrationImages, limit = Infinity } = this.settings;
    const images =
      Math.min(calibrationImages, dataset.splitSize('train')) + Math.min(limit, dataset.splitSize(split));
    return 4 * images * dataset.imageChannels * size * size;
  }

  /** Yields batches, keeping them for the next call while there is room. */
  private async *cached(key: string, make: () => AsyncIterable<Batch>): AsyncGenerator<Batch, void> {
    const known = this.batches.get(key);
    if (known !== undefined) {
      yield* known;
      return;
    }
    const kept: Batch[] = [];
    let bytes = 0;
    for await (const batch of make()) {
      bytes += 4 * sizeOf(batch.images.shape);
      if (this.cachedBytes + bytes <= this.settings.cacheBytes) kept.push(batch);
      else kept.length = 0;
      yield batch;
    }
    // Another call may have kept the same batches in the meantime.
    if (kept.length > 0 && !this.batches.has(key) && this.cachedBytes + bytes <= this.settings.cacheBytes) {
      this.batches.set(key, kept);
      this.cachedBytes += bytes;
    }
  }
}

/** Runs the folded network over the batches. */
async function runScore(
  network: Network,
  tensors: ReadonlyMap<string, Tensor>,
  batches: AsyncIterable<Batch>,
  evaluationBatch: number,
  engine: Engine,
): Promise<ScoreSum> {
  const program = await engine.compile(foldedGraph(network, tensors, evaluationBatch), {
    keepMemory: true,
  });
  try {
    const sum = new ScoreSum();
    for await (const { images, labels } of batches) {
      const { logits } = await program.run({ input: padBatch(images, evaluationBatch) });
      sum.add(logits!, labels);
    }
    return sum;
  } finally {
    await program.dispose();
  }
}

/** What a stand-alone subnet is scored with: the network that would be exported. */
export const foldedGraph = (network: Network, tensors: ReadonlyMap<string, Tensor>, batch: number): Graph =>
  foldBatchNorm(inferenceGraph(staticNetwork(network).blocks, tensors, batch));

function requireImages(sum: ScoreSum, split: Split, shares: readonly number[] = []): Score {
  const score = sum.score(shares);
  if (score === undefined)
    throw new UserError(`Cannot score a subnet: at least one ${split} image is needed: there is none`);
  return score;
}

async function* whilst<T>(going: () => boolean, items: AsyncIterable<T>): AsyncGenerator<T, void> {
  for await (const item of items) {
    if (!going()) return;
    yield item;
  }
}

/** Threads read it there without a copy. */
async function* inSharedMemory(batches: AsyncIterable<Batch>): AsyncGenerator<Batch, void> {
  for await (const batch of batches) {
    const { shape, data } = batch.images;
    const shared = new Float32Array(new SharedArrayBuffer(data.byteLength));
    shared.set(data);
    yield { ...batch, images: tensor(shape, shared) };
  }
}

/** Fills a smaller last batch with zeros, so that one program serves all. */
function padBatch(images: Tensor, batch: number): Tensor {
  if (images.shape[0] === batch) return images;
  const padded = tensor([batch, ...images.shape.slice(1)]);
  padded.data.set(images.data);
  return padded;
}
