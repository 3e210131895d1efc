/**
 * Architectures as small whole numbers, one a gene: what searches copy, change and compare by the hundred thousand. An
 * `Architecture` is what people and files see.
 */
import type { Random } from '../util/random.js';
import type { Architecture } from './architecture.js';
import { KeySet } from './keySet.js';
import { geneLabel, geneValue, hasPosition, type Gene, type GeneList } from './gene.js';

/** Index of the value among each gene's choices, in the genes' order; of inactive genes any. */
export type Genotype = Uint8Array;

/** First character of a key's alphabet: `0` is an inactive gene, `1` the smallest choice. */
const KEY_BASE = 48;

export class Genome {
  readonly size: number;
  /** Number of choices of each gene. */
  readonly choices: Uint8Array;
  /** Gene whose choice switches this one on; -1 for none. */
  readonly #depthOf: Int16Array;
  /** The same, or the gene itself where there is none. */
  readonly #switches: Int16Array;
  /** The least choice of that gene with which this one is active. */
  readonly #least: Uint8Array;
  /** First gene of each group that is redrawn together, and the end. */
  readonly #groups: readonly number[];
  readonly #isResolution: readonly boolean[];
  /** Of each list of an architecture, which gene holds each place. */
  readonly #places: Readonly<Record<GeneList, Int16Array>>;
  /** Where keys are put together. */
  readonly #text: Buffer;
  /** The same as words. */
  readonly #words: Int32Array;

  /** `genes`: of a space, whole or limited. Throws RangeError for a gene with more than 200 choices. */
  constructor(readonly genes: readonly Gene[]) {
    this.size = genes.length;
    const many = genes.find(({ choices }) => choices.length > 200);
    if (many !== undefined) {
      throw new RangeError(
        `Cannot search: a gene must have at most 200 choices: ${geneLabel(many)} has ${many.choices.length}`,
      );
    }
    const places = (wanted: GeneList): Int16Array => {
      const list: number[] = [];
      genes.forEach((gene, i) => {
        if (gene.list === wanted) list[gene.index] = i;
      });
      return Int16Array.from(list);
    };
    this.#places = {
      imageSize: places('imageSize'),
      d: places('d'),
      ks: places('ks'),
      e: places('e'),
      w: places('w'),
    };
    this.#words = new Int32Array(Math.ceil(genes.length / 4));
    this.#text = Buffer.from(this.#words.buffer, 0, genes.length);
    this.choices = Uint8Array.from(genes, ({ choices }) => choices.length);
    this.#depthOf = Int16Array.from(genes, ({ needs }) =>
      needs === undefined ? -1 : genes.findIndex(({ list, index }) => list === 'd' && index === needs.stage),
    );
    this.#switches = this.#depthOf.map((depth, i) => (depth < 0 ? i : depth));
    this.#least = Uint8Array.from(genes, ({ needs }, i) => {
      if (needs === undefined) return 0;
      const depths = genes[this.#depthOf[i]!]!.choices;
      const least = depths.findIndex((depth) => hasPosition(needs, depth));
      return least < 0 ? depths.length : least;
    });
    const starts = genes.flatMap(({ group }, i) => (i === 0 || group !== genes[i - 1]!.group ? [i] : []));
    this.#groups = [...starts, genes.length];
    this.#isResolution = starts.map((start) => genes[start]!.list === 'imageSize');
  }

  isActive(genotype: Genotype, gene: number): boolean {
    return genotype[this.#switches[gene]!]! >= this.#least[gene]!;
  }

  /** The gene that switches this one on; undefined for none. */
  depthOf(gene: number): number | undefined {
    const depth = this.#depthOf[gene]!;
    return depth < 0 ? undefined : depth;
  }

  /** The least choice of `depthOf` with which the gene is active. */
  leastOf(gene: number): number {
    return this.#least[gene]!;
  }

  /** Throws RangeError for an active gene whose value is not one of its choices. */
  encode(arch: Architecture): Genotype {
    const genotype = Uint8Array.from(this.genes, (gene) =>
      Math.max(0, gene.choices.indexOf(geneValue(arch, gene))),
    );
    this.genes.forEach((gene, i) => {
      const value = geneValue(arch, gene);
      if (this.isActive(genotype, i) && gene.choices[genotype[i]!] !== value) {
        throw new RangeError(
          `Cannot encode the architecture: ${geneLabel(gene)} must be one of ${gene.choices.join(', ')}: current value is ${value}`,
        );
      }
    });
    return genotype;
  }

  decode(genotype: Genotype): Architecture {
    const { imageSize, ks, e, d, w } = this.#places;
    const arch = {
      imageSize: this.#values(imageSize, genotype)[0] ?? 0,
      ks: this.#values(ks, genotype),
      e: this.#values(e, genotype),
      d: this.#values(d, genotype),
    };
    return w.length > 0 ? { ...arch, w: this.#values(w, genotype) } : arch;
  }

  #values(places: Int16Array, genotype: Genotype): number[] {
    const values = new Array<number>(places.length);
    for (let i = 0; i < places.length; i++) {
      const gene = places[i]!;
      values[i] = this.genes[gene]!.choices[genotype[gene]!]!;
    }
    return values;
  }

  /** 0 where a gene is inactive, else its choice plus 1: equal for genotypes that build the same network. */
  masked(genotype: Genotype): Uint8Array {
    const masked = new Uint8Array(this.size);
    for (let i = 0; i < masked.length; i++) masked[i] = this.isActive(genotype, i) ? genotype[i]! + 1 : 0;
    return masked;
  }

  /** Equal for two genotypes iff they build the same network (but for choices that a width rounds to the same channels). */
  key(genotype: Genotype): string {
    this.#write(genotype);
    return this.#text.toString('latin1');
  }

  /** For `addTo`. */
  createKeySet(): KeySet {
    return new KeySet(this.#words.length);
  }

  /** Adds the network's key to a set of `createKeySet`; whether it was not there. Costs less than `key`. */
  addTo(known: KeySet, genotype: Genotype): boolean {
    this.#write(genotype);
    return known.add(this.#words);
  }

  #write(genotype: Genotype): void {
    const text = this.#text;
    const switches = this.#switches;
    const least = this.#least;
    for (let i = 0; i < text.length; i++) {
      // Without a branch: all ones where the gene is inactive.
      const off = (genotype[switches[i]!]! - least[i]!) >> 31;
      text[i] = KEY_BASE + ((genotype[i]! + 1) & ~off);
    }
  }

  /** Genes in which the two networks differ; a gene that only one of them has counts. */
  distance(a: Genotype, b: Genotype): number {
    let count = 0;
    for (let i = 0; i < this.size; i++) {
      const active = this.isActive(a, i);
      if (active !== this.isActive(b, i) || (active && a[i] !== b[i])) count++;
    }
    return count;
  }

  /** Every gene uniform and independent (`ofa/nas/accuracy_predictor/arch_encoder.py:141-146`). */
  sample(random: Random): Genotype {
    const genotype = new Uint8Array(this.size);
    for (let i = 0; i < genotype.length; i++) genotype[i] = random.int(this.choices[i]!);
    return genotype;
  }

  /**
   * One coin a group (kernel and expand of a block position; a depth; the image size): on heads all its genes are redrawn
   * uniformly (`arch_encoder.py:148-162`). `rate` and `resolutionRate`: chances of heads.
   */
  mutate(genotype: Genotype, rate: number, resolutionRate: number, random: Random): Genotype {
    const child = genotype.slice();
    const groups = this.#groups;
    for (let group = 0; group + 1 < groups.length; group++) {
      if (random.float() >= (this.#isResolution[group]! ? resolutionRate : rate)) continue;
      for (let i = groups[group]!; i < groups[group + 1]!; i++) child[i] = random.int(this.choices[i]!);
    }
    return child;
  }

  /** Uniform crossover: each gene from either parent (`ofa/nas/search_algorithm/evolution.py:83-96`). */
  cross(a: Genotype, b: Genotype, random: Random): Genotype {
    const child = a.slice();
    let coins = 0;
    for (let i = 0; i < child.length; i++) {
      if (i % 32 === 0) coins = random.int(2 ** 32);
      // Without a branch, which would be mispredicted every other time.
      const taken = -((coins >>> (i % 32)) & 1);
      child[i] = (b[i]! & taken) | (child[i]! & ~taken);
    }
    return child;
  }

  /** Another value for one active gene, chosen uniformly among all such changes of the network; a copy where there is none. */
  step(genotype: Genotype, random: Random): Genotype {
    const child = genotype.slice();
    let left = 0;
    for (let i = 0; i < this.size; i++) if (this.isActive(genotype, i)) left += this.choices[i]! - 1;
    let chosen = random.int(left);
    for (let i = 0; i < this.size; i++) {
      if (!this.isActive(genotype, i)) continue;
      const others = this.choices[i]! - 1;
      if (chosen < others) {
        child[i] = chosen < genotype[i]! ? chosen : chosen + 1;
        break;
      }
      chosen -= others;
    }
    return child;
  }

  /** The networks one active gene away, each a different one. */
  *neighbours(genotype: Genotype): Generator<Genotype, void, void> {
    for (let i = 0; i < this.size; i++) {
      if (!this.isActive(genotype, i)) continue;
      for (let choice = 0; choice < this.choices[i]!; choice++) {
        if (choice === genotype[i]) continue;
        const child = genotype.slice();
        child[i] = choice;
        yield child;
      }
    }
  }
}
