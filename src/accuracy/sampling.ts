/** The list of networks whose accuracies predictors learn from. */
import type { Architecture } from '../space/architecture.js';
import { architectureKey, canonical } from '../space/canonical.js';
import { enumerateArchitectures } from '../space/enumerate.js';
import type { Gene } from '../space/gene.js';
import { sampleArchitecture } from '../space/sampling.js';
import { createRandom } from '../util/random.js';

/** So many draws in a row that repeat: what is left is listed instead. Only spaces of some thousand networks get there. */
const REPEATS = 1000;

/**
 * Distinct networks in canonical form, every gene drawn uniformly; ends when the space has no more. A longer list of the
 * same seed starts with the shorter one. Uniqueness is of networks, not of genotypes as in the reference
 * (`ofa/nas/accuracy_predictor/acc_dataset.py:56-80`).
 */
export function* distinctArchitectures(
  genes: readonly Gene[],
  seed: number,
): Generator<{ readonly key: string; readonly architecture: Architecture }, void, void> {
  const random = createRandom(seed, 'accuracy-sample');
  const seen = new Set<string>();
  for (let repeats = 0; repeats < REPEATS; repeats++) {
    const architecture = sampleArchitecture(genes, random);
    const key = architectureKey(genes, architecture);
    if (seen.has(key)) continue;
    repeats = -1;
    seen.add(key);
    yield { key, architecture: canonical(genes, architecture) };
  }
  const rest = [...enumerateArchitectures(genes)].filter((arch) => !seen.has(architectureKey(genes, arch)));
  for (const architecture of random.shuffle(rest))
    yield { key: architectureKey(genes, architecture), architecture };
}
