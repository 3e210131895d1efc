/** Differentiable search on a run's supernet: single paths on validation images, then the most likely networks by accuracy. */
import type { Batch } from '../data/batchSource.js';
import type { Loader } from '../data/loader.js';
import { coverQuantities } from '../search/covered.js';
import { findFeasible } from '../search/feasibility.js';
import { searchPaths, type PathSearchSettings } from '../search/paths.js';
import { evaluateQuantity, violation, type Constraint, type Quantity } from '../search/quantity.js';
import type { Architecture } from '../space/architecture.js';
import { canonical } from '../space/canonical.js';
import type { Genotype } from '../space/genotype.js';
import type { SubnetExecutor } from '../supernet/executor.js';
import type { SubnetEvaluator } from '../training/evaluator.js';
import { countCorrect } from '../training/score.js';
import { UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';
import { createRandom } from '../util/random.js';
import type { SupernetRun } from './run.js';

/** Draws from the final policy that finalists are chosen among. */
const DRAWS = 2000;
/** Validation images of each size that are kept in memory, at most. */
const IMAGES = 2048;

export interface SearchPathsRequest {
  readonly run: SupernetRun;
  readonly loader: Loader;
  readonly executor: SubnetExecutor;
  /** Measures the finalists, their batch norm recalibrated. */
  readonly evaluator: SubnetEvaluator;
  readonly constraints: readonly Constraint[];
  /** To be known of every network, beside what is limited. */
  readonly known?: readonly Quantity[];
  readonly settings?: Partial<PathSearchSettings>;
  /** Images a step. */
  readonly batch: number;
  /** Networks whose accuracy is measured at the end. */
  readonly finalists: number;
  readonly seed: number;
  /** File that the search goes on from. */
  readonly journal?: string;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

export interface PathFinalist {
  readonly architecture: Architecture;
  /** Fraction of the validation images. */
  readonly top1: number;
}

export interface PathsFound {
  readonly best: PathFinalist;
  /** Most accurate first. */
  readonly finalists: readonly PathFinalist[];
  readonly steps: number;
  /** What could not be searched, as a quantity cannot answer there. */
  readonly leftOut: readonly string[];
  /** Of the policy at the end, from 0 (decided) to 1. */
  readonly uncertainty: number;
}

/**
 * Deterministic for a seed. Throws InfeasibleError where nothing meets the limits, UserError for data without validation
 * images or a journal that does not fit, and the signal's reason.
 */
export async function searchSupernetPaths(request: SearchPathsRequest): Promise<PathsFound> {
  const { run, executor, evaluator, known = [], batch, finalists, seed, logger, signal } = request;
  const { space, weights } = run;
  const limited = request.constraints.map(({ quantity }) => quantity);
  const { genes, leftOut, ...covered } = coverQuantities(space.genes, [...limited, ...known]);
  for (const line of leftOut) logger.warn(line);
  const constraints = [...covered.constraints, ...request.constraints];
  const anchor = await findFeasible(genes, constraints, seed);
  const violations = async (archs: readonly Architecture[]): Promise<Float64Array> => {
    const sum = new Float64Array(archs.length);
    for (const constraint of constraints) {
      const values = await evaluateQuantity(constraint.quantity, archs);
      for (let i = 0; i < sum.length; i++) sum[i]! += violation(constraint, values[i]!);
    }
    return sum;
  };
  const batchOf = validationBatches(request.loader, batch);
  const losses = async (archs: readonly Architecture[], step: number): Promise<number[]> => {
    const values: number[] = [];
    for (const arch of archs) {
      const { images, labels } = await batchOf(arch.imageSize, step);
      const { logits } = await executor.forward(weights, space.network(arch), images, 'blocks');
      values.push(countCorrect(logits, labels).loss / labels.length);
    }
    return values;
  };
  const steps = request.settings?.steps;
  const progress = logger.progress('Searching (differentiable, single paths)', steps ?? 0);
  const { policy, genome, history } = await searchPaths({
    genes,
    seed,
    losses,
    progress,
    ...(request.settings && { settings: request.settings }),
    ...(constraints.length > 0 && { violations }),
    ...(request.journal !== undefined && {
      journal: {
        path: request.journal,
        origin: { weightsSha256: run.weightsSha256, data: request.loader.dataset.name, batch },
      },
    }),
    ...(signal && { signal }),
  }).finally(() => progress.stop());

  const random = createRandom(seed, 'search', 'paths', 'finalists');
  const drawn = new Map<string, Genotype>();
  for (const genotype of [
    policy.mode(),
    ...Array.from({ length: DRAWS }, () => policy.sample(random)),
    genome.encode(anchor),
  ])
    drawn.set(genome.key(genotype), genotype);
  const genotypes = [...drawn.values()];
  const excess = await violations(genotypes.map((genotype) => genome.decode(genotype)));
  const likely = genotypes
    .flatMap((genotype, i) =>
      excess[i] === 0 ? [{ genotype, likelihood: policy.logProbability(genotype) }] : [],
    )
    .sort((a, b) => b.likelihood - a.likelihood)
    .slice(0, finalists);
  const measured: PathFinalist[] = [];
  for (const { genotype } of likely) {
    signal?.throwIfAborted();
    const architecture = canonical(genes, genome.decode(genotype));
    const { top1 } = await evaluator.evaluate(architecture, 'validation');
    measured.push({ architecture, top1 });
    logger.info(`Finalist ${measured.length} of ${likely.length}: top-1 ${(100 * top1).toFixed(2)} %`);
  }
  measured.sort((a, b) => b.top1 - a.top1);
  return {
    best: measured[0]!,
    finalists: measured,
    steps: history.length,
    leftOut,
    uncertainty: policy.uncertainty(),
  };
}

/** Whole batches of the validation images, in turn: at every size the same images in the same step. */
function validationBatches(
  loader: Loader,
  batch: number,
): (imageSize: number, step: number) => Promise<Batch> {
  const known = new Map<number, readonly Batch[]>();
  return async (imageSize, step) => {
    let batches = known.get(imageSize);
    if (batches === undefined) {
      const list: Batch[] = [];
      for await (const next of loader.evaluationBatches('validation', imageSize, batch, IMAGES))
        if (next.labels.length === batch || list.length === 0) list.push(next);
      if (list.length === 0) {
        throw new UserError(
          `Cannot search on data set "${loader.dataset.name}": validation images are needed: there are none`,
        );
      }
      known.set(imageSize, (batches = list));
    }
    return batches[step % batches.length]!;
  };
}
