/** Independent probabilities of the choices of every gene, from logits; what gradients of searches move. */
import type { Genome, Genotype } from '../space/genotype.js';
import type { Random } from '../util/random.js';

export class ChoicePolicy {
  /** Logits of every gene's choices, in the genes' order; all 0 at first. */
  readonly logits: readonly Float64Array[];

  constructor(readonly genome: Genome) {
    this.logits = Array.from(genome.choices, (count) => new Float64Array(count));
  }

  /** Of one gene's choices, at a temperature. */
  probabilities(gene: number, temperature = 1): Float64Array {
    return softmax(this.logits[gene]!, temperature);
  }

  /** Mixed with a uniform one: of share 0 to 1. */
  sample(random: Random, uniform = 0): Genotype {
    return Uint8Array.from(this.logits, (logits) => {
      if (random.float() < uniform) return random.int(logits.length);
      const p = softmax(logits, 1);
      let left = random.float();
      let choice = 0;
      while (choice < p.length - 1 && (left -= p[choice]!) >= 0) choice++;
      return choice;
    });
  }

  /** The most likely choices. */
  mode(): Genotype {
    return Uint8Array.from(this.logits, (logits) =>
      logits.reduce((best, v, i) => (v > logits[best]! ? i : best), 0),
    );
  }

  /**
   * Adds to the logits sum_t weight_t grad log p(genotype_t), of the genes that the network has, and `entropy` times the
   * gradient of each gene's entropy; all at the policy as it was before.
   */
  follow(steps: readonly { readonly genotype: Genotype; readonly weight: number }[], entropy: number): void {
    this.logits.forEach((logits, gene) => {
      const p = softmax(logits, 1);
      const change = new Float64Array(logits.length);
      for (const { genotype, weight } of steps) {
        if (!this.genome.isActive(genotype, gene)) continue;
        for (let i = 0; i < p.length; i++) change[i]! += weight * (Number(genotype[gene] === i) - p[i]!);
      }
      // dH / dlogit_i = -p_i (log p_i + H).
      const H = -p.reduce((sum, v) => sum + (v > 0 ? v * Math.log(v) : 0), 0);
      for (let i = 0; i < p.length; i++) {
        if (p[i]! > 0) change[i]! -= entropy * p[i]! * (Math.log(p[i]!) + H);
        logits[i]! += change[i]!;
      }
    });
  }
}

export function softmax(logits: Float64Array, temperature: number): Float64Array {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = logits.map((v) => Math.exp((v - top) / temperature));
  const total = powers.reduce((sum, v) => sum + v, 0);
  return powers.map((v) => v / total);
}
