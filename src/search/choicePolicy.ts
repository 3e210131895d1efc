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

  /** Natural logarithm of the chance to draw the network: of its active genes, as what others hold makes no difference. */
  logProbability(genotype: Genotype): number {
    return this.logits.reduce((sum, logits, gene) => {
      if (!this.genome.isActive(genotype, gene)) return sum;
      return sum + Math.log(softmax(logits, 1)[genotype[gene]!]!);
    }, 0);
  }

  /** sum_t weight_t grad log p(genotype_t) in the logits, of the genes that each network has. */
  gradient(genotypes: readonly Genotype[], weights: ArrayLike<number>): Float64Array[] {
    return this.logits.map((logits, gene) => {
      const p = softmax(logits, 1);
      const sum = new Float64Array(logits.length);
      genotypes.forEach((genotype, t) => {
        if (!this.genome.isActive(genotype, gene)) return;
        for (let i = 0; i < p.length; i++) sum[i]! += weights[t]! * (Number(genotype[gene] === i) - p[i]!);
      });
      return sum;
    });
  }

  /** Gradient in the logits of the sum of all genes' entropies, in nats: -p_i (log p_i + H). */
  entropyGradient(): Float64Array[] {
    return this.logits.map((logits) => {
      const p = softmax(logits, 1);
      const entropy = entropyOf(p);
      return p.map((v) => (v > 0 ? -v * (Math.log(v) + entropy) : 0));
    });
  }

  /** Mean over genes that have a choice, as a share of the greatest there can be: 1 for a uniform policy, 0 for a sure one. */
  uncertainty(): number {
    const shares = this.logits
      .filter(({ length }) => length > 1)
      .map((logits) => entropyOf(softmax(logits, 1)) / Math.log(logits.length));
    return shares.reduce((sum, v) => sum + v, 0) / Math.max(1, shares.length);
  }
}

const entropyOf = (p: Float64Array): number => -p.reduce((sum, v) => sum + (v > 0 ? v * Math.log(v) : 0), 0);

export function softmax(logits: Float64Array, temperature: number): Float64Array {
  const top = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = logits.map((v) => Math.exp((v - top) / temperature));
  const total = powers.reduce((sum, v) => sum + v, 0);
  return powers.map((v) => v / total);
}
