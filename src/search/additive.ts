/**
 * Answers of functions that are sums over a network's blocks (tables of latencies, MACs, parameters) without building the
 * network: what each choice adds is found by asking about networks that differ in it alone, one image size after the other,
 * and the sums are compared with the function's own answers on random networks before any is given. They are rounded
 * otherwise; a search asks the function itself about what it reports, and where a limit is that close.
 */
import type { Genome, Genotype } from '../space/genotype.js';
import { createRandom } from '../util/random.js';
import type { BatchFunction, GenotypeFunction } from './batch.js';

/** Random networks of an image size that sums are compared on. */
const CHECKS = 40;
/** Relative difference by which a sum may be rounded otherwise. */
export const SUM_TOLERANCE = 1e-9;
/** Networks asked about before it is worth finding sums. */
const WORTHWHILE = 1000;

/** Genes that are on or off together, and change together: what one block depends on. */
interface Slot {
  readonly genes: readonly number[];
  /** Distance of two values of each gene in `terms`. */
  readonly strides: readonly number[];
  readonly count: number;
}

interface Sums {
  readonly base: number;
  /** By slot, of every combination of its genes' choices. */
  readonly terms: readonly Float64Array[];
}

function slotsOf(genome: Genome): Slot[] {
  const slots = new Map<string, number[]>();
  genome.genes.forEach(({ list, group }, i) => {
    if (list === 'imageSize' || list === 'd') return;
    slots.set(group, [...(slots.get(group) ?? []), i]);
  });
  return [...slots.values()].map((genes) => {
    const strides: number[] = [];
    let count = 1;
    for (const gene of genes) {
      strides.push(count);
      count *= genome.choices[gene]!;
    }
    return { genes, strides, count };
  });
}

/** The function on genotypes: by sums where they agree with it, by itself where they do not, and for the first thousand. */
export function additiveFunction(genome: Genome, evaluate: BatchFunction): GenotypeFunction {
  const { genes } = genome;
  const slots = slotsOf(genome);
  const resolution = genes.findIndex(({ list }) => list === 'imageSize');
  const known = new Map<number, Sums | undefined>();
  const ask = async (genotypes: readonly Genotype[]): Promise<ArrayLike<number>> =>
    evaluate(genotypes.map((genotype) => genome.decode(genotype)));

  const sum = ({ base, terms }: Sums, genotype: Genotype): number => {
    let total = base;
    for (let s = 0; s < slots.length; s++) {
      const slot = slots[s]!;
      if (!genome.isActive(genotype, slot.genes[0]!)) continue;
      let at = 0;
      for (let i = 0; i < slot.genes.length; i++) at += slot.strides[i]! * genotype[slot.genes[i]!]!;
      total += terms[s]![at]!;
    }
    return total;
  };

  /** Undefined where the function is no sum. */
  const find = async (size: number): Promise<Sums | undefined> => {
    const smallest = new Uint8Array(genome.size);
    if (resolution >= 0) smallest[resolution] = size;
    const without: Genotype[] = [];
    const probes: Genotype[] = [];
    for (const slot of slots) {
      const at = switchedOn(genome, smallest, slot.genes[0]!);
      if (at === undefined) return undefined;
      without.push(at.before);
      for (let combination = 0; combination < slot.count; combination++) {
        const probe = at.on.slice();
        slot.genes.forEach((gene, i) => {
          probe[gene] = Math.floor(combination / slot.strides[i]!) % genome.choices[gene]!;
        });
        probes.push(probe);
      }
    }
    const answers = await ask([smallest, ...without, ...probes]);
    let next = 1 + without.length;
    const terms = slots.map(({ count }, s) =>
      Float64Array.from({ length: count }, () => answers[next++]! - answers[1 + s]!),
    );
    const sums = { base: answers[0]!, terms };
    const chance = createRandom('additive', size);
    const checks = Array.from({ length: CHECKS }, () => {
      const genotype = genome.sample(chance);
      if (resolution >= 0) genotype[resolution] = size;
      return genotype;
    });
    const wanted = await ask(checks);
    const agrees = checks.every(
      (genotype, i) => Math.abs(sum(sums, genotype) - wanted[i]!) <= SUM_TOLERANCE * Math.abs(wanted[i]!),
    );
    return agrees ? sums : undefined;
  };

  let asked = 0;
  return async (genotypes) => {
    asked += genotypes.length;
    if (asked <= WORTHWHILE) return ask(genotypes);
    const values = new Float64Array(genotypes.length);
    const rest: number[] = [];
    for (let i = 0; i < genotypes.length; i++) {
      const size = resolution < 0 ? 0 : genotypes[i]![resolution]!;
      if (!known.has(size)) known.set(size, await find(size));
      const sums = known.get(size);
      if (sums === undefined) rest.push(i);
      else values[i] = sum(sums, genotypes[i]!);
    }
    if (rest.length > 0) {
      const answers = await ask(rest.map((i) => genotypes[i]!));
      rest.forEach((i, at) => (values[i] = answers[at]!));
    }
    return values;
  };
}

/**
 * The smallest network in which the gene is active, and the network that lacks it: for a gene that always is, the same
 * network. Undefined where no depth switches it on.
 */
function switchedOn(
  genome: Genome,
  smallest: Genotype,
  gene: number,
): { readonly on: Genotype; readonly before: Genotype } | undefined {
  if (genome.isActive(smallest, gene)) return { on: smallest, before: smallest };
  const depth = genome.depthOf(gene)!;
  for (let choice = 1; choice < genome.choices[depth]!; choice++) {
    const on = smallest.slice();
    on[depth] = choice;
    if (!genome.isActive(on, gene)) continue;
    const before = on.slice();
    before[depth] = choice - 1;
    return { on, before };
  }
  return undefined;
}
