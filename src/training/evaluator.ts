/**
 * Accuracy of subnets. Shared batch-norm statistics fit no subnet, so each one's are recalibrated first: batch norm runs
 * on batch statistics over training images, whose means and (biased, within-batch) variances are averaged, weighted by
 * batch size (`EN/utils.py:16-83`). Then the subnet runs as the plain network that would be exported.
 */
import type { Batch } from '../data/batchSource.js';
import type { Split } from '../data/dataset.js';
import type { Loader } from '../data/loader.js';
import type { Engine } from '../engine/engine.js';
import { inferenceGraph } from '../graph/network.js';
import { foldBatchNorm } from '../lowering/passes/foldBatchNorm.js';
import type { Architecture } from '../space/architecture.js';
import type { Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import type { SubnetExecutor } from '../supernet/executor.js';
import { extractSubnet, staticNetwork } from '../supernet/subnet.js';
import type { SupernetWeights } from '../supernet/weights.js';
import { UserError } from '../util/errors.js';
import { sizeOf, tensor, type Tensor } from '../util/tensor.js';
import { countCorrect, type Score } from './score.js';

export interface EvaluatorOptions {
  readonly space: SearchSpace;
  /** Read at every call: a trainer may go on changing them. */
  readonly weights: SupernetWeights;
  readonly loader: Loader;
  /** Runs training-mode forward passes. */
  readonly executor: SubnetExecutor;
  /** Runs the folded network. */
  readonly engine: Engine;
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
}

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
    const { executor, weights, loader, space } = this.options;
    const { calibrationImages, calibrationBatch, calibrationSeed } = this.settings;
    const network = space.network(arch);
    const sums = new Map<string, Float64Array>();
    let count = 0;
    const batches = this.cached(`calibration ${arch.imageSize}`, () =>
      loader.calibrationBatches(calibrationImages, calibrationBatch, arch.imageSize, calibrationSeed),
    );
    for await (const { images } of batches) {
      const size = images.shape[0]!;
      const { statistics } = await executor.forward(weights, network, images, 'blocks');
      for (const [name, { data }] of statistics) {
        const sum = sums.get(name) ?? new Float64Array(data.length);
        sums.set(name, sum);
        data.forEach((v, i) => (sum[i]! += size * v));
      }
      count += size;
    }
    return new Map(
      [...sums].map(([name, sum]) => [
        name,
        tensor(
          [sum.length],
          Float32Array.from(sum, (v) => v / count),
        ),
      ]),
    );
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
    return this.score(network, extractSubnet(weights, network, statistics), split, options.shares);
  }

  /** Accuracy and loss of a stand-alone subnet (`extractSubnet`); `learningCurve` where there are `shares`. */
  async score(
    network: Network,
    tensors: ReadonlyMap<string, Tensor>,
    split: Split,
    shares: readonly number[] = [],
  ): Promise<Score> {
    const { engine, loader } = this.options;
    const { evaluationBatch, limit } = this.settings;
    const size = network.input.height;
    const graph = foldBatchNorm(inferenceGraph(staticNetwork(network).blocks, tensors, evaluationBatch));
    const program = await engine.compile(graph);
    try {
      const total = { top1: 0, top5: 0, loss: 0, count: 0 };
      const soFar: { readonly top1: number; readonly count: number }[] = [];
      const batches = this.cached(`${split} ${size}`, () =>
        loader.evaluationBatches(split, size, evaluationBatch, limit),
      );
      for await (const { images, labels } of batches) {
        const { logits } = await program.run({ input: padBatch(images, evaluationBatch) });
        const part = countCorrect(logits!, labels);
        total.top1 += part.top1;
        total.top5 += part.top5;
        total.loss += part.loss;
        total.count += labels.length;
        soFar.push({ top1: total.top1 / total.count, count: total.count });
      }
      const { top1, top5, loss, count } = total;
      if (count === 0)
        throw new UserError(`Cannot score a subnet: at least one ${split} image is needed: there is none`);
      const score = { top1: top1 / count, top5: top5 / count, loss: loss / count, count };
      if (shares.length === 0) return score;
      // After the first batch that reaches the share; `soFar` ends with all images.
      const learningCurve = shares.map((at) => ({
        at,
        top1: soFar.find((part) => part.count >= at * count)!.top1,
      }));
      return { ...score, learningCurve };
    } finally {
      await program.dispose();
    }
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

/** Fills a smaller last batch with zeros, so that one program serves all. */
function padBatch(images: Tensor, batch: number): Tensor {
  if (images.shape[0] === batch) return images;
  const padded = tensor([batch, ...images.shape.slice(1)]);
  padded.data.set(images.data);
  return padded;
}
