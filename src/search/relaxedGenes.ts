/**
 * Architectures that are not decided yet: every gene holds shares of its choices instead of one of them, drawn by the Gumbel
 * softmax (Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017, eq. 2; for architectures Wu et
 * al., "FBNet", CVPR 2019, eq. 8), so that what is computed from the shares has a gradient in the logits they came from.
 */
import { hasPosition, type Gene } from '../space/gene.js';
import type { Genotype } from '../space/genotype.js';
import type { Random } from '../util/random.js';
import { softmax } from './choicePolicy.js';

/** Of each gene, shares of its choices that sum to 1. */
export type Shares = readonly Float64Array[];

interface GenePlaces {
  readonly start: number;
  /** Gene that switches this one on, and which of its choices do. */
  readonly depth?: { readonly gene: number; readonly active: readonly boolean[] };
}

export class RelaxedGenes {
  /** Places of a row: one a choice of every gene. */
  readonly width: number;
  readonly #places: readonly GenePlaces[];

  constructor(private readonly genes: readonly Gene[]) {
    let width = 0;
    this.#places = genes.map(({ choices, needs }) => {
      const start = width;
      width += choices.length;
      if (needs === undefined) return { start };
      const gene = genes.findIndex(({ list, index }) => list === 'd' && index === needs.stage);
      return { start, depth: { gene, active: genes[gene]!.choices.map((d) => hasPosition(needs, d)) } };
    });
    this.width = width;
  }

  /** softmax((logits + Gumbel noise) / temperature), of every gene. */
  draw(logits: readonly Float64Array[], temperature: number, random: Random): Shares {
    return logits.map((own) =>
      softmax(
        own.map((v) => v + gumbel(random)),
        temperature,
      ),
    );
  }

  /** All on the choices of an architecture. */
  sharesOf(genotype: Genotype): Shares {
    return this.genes.map(({ choices }, gene) =>
      Float64Array.from(choices, (_, choice) => Number(choice === genotype[gene])),
    );
  }

  /**
   * Row-major [n, width]: the shares of each gene's choices, times the share of depths that have the gene; of an
   * architecture its one-hot encoding.
   */
  rows(list: readonly Shares[]): Float32Array {
    const rows = new Float32Array(list.length * this.width);
    list.forEach((shares, n) =>
      this.#places.forEach((place, gene) => {
        const there = shareOfDepths(shares, place);
        shares[gene]!.forEach((share, i) => (rows[n * this.width + place.start + i] = share * there));
      }),
    );
    return rows;
  }

  /**
   * Gradient in the logits of a sum over draws of functions of their rows. `rowGradients`: [n, width], in the order of
   * `list`, which was drawn at the temperature.
   */
  logitGradients(list: readonly Shares[], rowGradients: Float32Array, temperature: number): Float64Array[] {
    const sums = this.genes.map(({ choices }) => new Float64Array(choices.length));
    list.forEach((shares, n) => {
      const gradients = this.#shareGradients(shares, rowGradients, n * this.width);
      // Softmax at a temperature T: df/dlogit_i = s_i (g_i - <s, g>) / T.
      gradients.forEach((g, gene) => {
        const s = shares[gene]!;
        const mean = s.reduce((sum, v, i) => sum + v * g[i]!, 0);
        s.forEach((v, i) => (sums[gene]![i]! += (v * (g[i]! - mean)) / temperature));
      });
    });
    return sums;
  }

  #shareGradients(shares: Shares, rowGradients: Float32Array, offset: number): Float64Array[] {
    const gradients = shares.map((own) => new Float64Array(own.length));
    this.#places.forEach((place, gene) => {
      const there = shareOfDepths(shares, place);
      let product = 0;
      shares[gene]!.forEach((share, i) => {
        const g = rowGradients[offset + place.start + i]!;
        gradients[gene]![i]! += g * there;
        product += g * share;
      });
      place.depth?.active.forEach((active, i) => {
        if (active) gradients[place.depth!.gene]![i]! += product;
      });
    });
    return gradients;
  }
}

/** Standard Gumbel: -log(-log(u)), u uniform and not 0. */
const gumbel = (random: Random): number => -Math.log(-Math.log(random.float() || 2 ** -33));

/** Share of the depths that have the gene. */
function shareOfDepths(shares: Shares, { depth }: GenePlaces): number {
  if (depth === undefined) return 1;
  return shares[depth.gene]!.reduce((sum, share, i) => sum + (depth.active[i]! ? share : 0), 0);
}
