/** Random moves in a search space. All of them take the genes of a space, whole or limited (`limitGenes`). */
import type { Random } from '../util/random.js';
import type { Architecture } from './architecture.js';
import { geneValue, type Gene } from './gene.js';
import { architectureOf } from './space.js';

/** Every gene uniform and independent (`ofa/nas/accuracy_predictor/arch_encoder.py:141-146`). */
export function sampleArchitecture(genes: readonly Gene[], random: Random): Architecture {
  return architectureOf(genes, ({ choices }) => choices[random.int(choices.length)]!);
}

export interface MutationRates {
  /** Chance of a redraw of a group of genes (kernel and expand of a block position; the depth of a stage). */
  readonly architecture: number;
  /** Chance of a redraw of the image size. */
  readonly resolution: number;
}

/**
 * One coin a group: on heads all its genes are redrawn uniformly (`arch_encoder.py:148-162`). A value outside limited
 * genes stays where its group is not redrawn.
 */
export function mutateArchitecture(
  genes: readonly Gene[],
  arch: Architecture,
  rates: MutationRates,
  random: Random,
): Architecture {
  let group = '';
  let redraw = false;
  return architectureOf(genes, (gene) => {
    // Genes of a group stand together in the list of a space.
    if (gene.group !== group) {
      group = gene.group;
      redraw = random.float() < (gene.list === 'imageSize' ? rates.resolution : rates.architecture);
    }
    return redraw ? gene.choices[random.int(gene.choices.length)]! : geneValue(arch, gene);
  });
}

/** Uniform crossover: each gene from either parent (`ofa/nas/search_algorithm/evolution.py:83-96`). */
export function crossArchitectures(
  genes: readonly Gene[],
  a: Architecture,
  b: Architecture,
  random: Random,
): Architecture {
  return architectureOf(genes, (gene) => geneValue(random.float() < 0.5 ? a : b, gene));
}
