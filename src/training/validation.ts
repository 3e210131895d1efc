/** Scores of a few subnets while a supernet trains: its largest, its smallest, and some random ones, always the same. */
import { toFile, type Architecture } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { sampleArchitecture } from '../space/sampling.js';
import type { SearchSpace } from '../space/space.js';
import { createRandom } from '../util/random.js';
import type { Metric } from './metrics.js';
import type { Score } from './score.js';

const RANDOM_SUBNETS = 2;
/** Steps between two validations, at least, unless told otherwise: of a few images they would take longer than the training. */
const VALIDATION_STEPS = 50;

/** Steps from one validation to the next. */
export function validationInterval(stepsPerEpoch: number, everyEpochs: number | undefined): number {
  if (everyEpochs === undefined) return Math.max(VALIDATION_STEPS, stepsPerEpoch);
  return Math.max(1, Math.round(everyEpochs * stepsPerEpoch));
}

/** Subnets by the name they have in metrics; of a space of one network that one alone. */
export function validationSubnets(space: SearchSpace, seed: number): [string, Architecture][] {
  const { largest, smallest, genes } = space;
  if (architectureKey(genes, largest) === architectureKey(genes, smallest)) return [['largest', largest]];
  const random = Array.from({ length: RANDOM_SUBNETS }, (_, i): [string, Architecture] => [
    `random ${i}`,
    sampleArchitecture(genes, createRandom(seed, 'validation', i)),
  ]);
  return [['largest', largest], ['smallest', smallest], ...random];
}

/** A line of metrics for each subnet. */
export async function validationMetrics(
  subnets: readonly (readonly [string, Architecture])[],
  evaluate: (arch: Architecture) => Promise<Score>,
  at: { readonly phase: string; readonly step: number; readonly epoch: number },
): Promise<Extract<Metric, { kind: 'validation' }>[]> {
  const metrics: Extract<Metric, { kind: 'validation' }>[] = [];
  for (const [subnet, arch] of subnets) {
    const { top1, top5, loss, count } = await evaluate(arch);
    const architecture = toFile(arch);
    metrics.push({ kind: 'validation', ...at, subnet, architecture, top1, top5, loss, images: count });
  }
  return metrics;
}
