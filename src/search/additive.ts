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
const CHECKS = 20;
/** Relative difference by which a sum may be rounded otherwise. */
export const SUM_TOLERANCE = 1e-9;
/** Networks asked about before it is worth finding sums. */
const WORTHWHILE = 500;

/** Genes that are on or off together, and change together: what one block depends on. */
interface Slot {
  readonly genes: readonly number[];
  /** Distance of two values of each gene in `terms`. */
  readonly strides: readonly number[];
  readonly count: number;
  /** The gene that switches it on, and the least choice that does; the first gene and 0 for a slot that is always on. */
  readonly depth: number;
  readonly least: number;
}

interface Sums {
  readonly base: number;
  /** Of every combination of each slot's genes' choices, slot after slot. */
  readonly terms: Float64Array;
}

/** The slots' numbers side by side: thousands of networks are summed over them. */
interface Layout {
  readonly depth: Int32Array;
  readonly least: Int32Array;
  /** Of each slot, where its terms begin. */
  readonly offset: Int32Array;
  /** Of each slot, where its genes begin; and the end. */
  readonly start: Int32Array;
  readonly gene: Int32Array;
  readonly stride: Int32Array;
}

function layoutOf(slots: readonly Slot[]): Layout {
  const ends = (sizes: readonly number[]): number[] => {
    let sum = 0;
    return [0, ...sizes.map((size) => (sum += size))];
  };
  return {
    depth: Int32Array.from(slots, ({ depth }) => depth),
    least: Int32Array.from(slots, ({ least }) => least),
    offset: Int32Array.from(ends(slots.map(({ count }) => count))),
    start: Int32Array.from(ends(slots.map(({ genes }) => genes.length))),
    gene: Int32Array.from(slots.flatMap(({ genes }) => genes)),
    stride: Int32Array.from(slots.flatMap(({ strides }) => strides)),
  };
}

function sum({ base, terms }: Sums, layout: Layout, genotype: Genotype): number {
  const { depth, least, offset, start, gene, stride } = layout;
  let total = base;
  for (let slot = 0; slot < depth.length; slot++) {
    if (genotype[depth[slot]!]! < least[slot]!) continue;
    let at = offset[slot]!;
    for (let i = start[slot]!; i < start[slot + 1]!; i++) at += stride[i]! * genotype[gene[i]!]!;
    total += terms[at]!;
  }
  return total;
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
    const depth = genome.depthOf(genes[0]!);
    return {
      genes,
      strides,
      count,
      depth: depth ?? 0,
      least: depth === undefined ? 0 : genome.leastOf(genes[0]!),
    };
  });
}

/** The function on genotypes: by sums where they agree with it, by itself where they do not, and for the first few hundred. */
export function additiveFunction(genome: Genome, evaluate: BatchFunction): GenotypeFunction {
  const { genes } = genome;
  const slots = slotsOf(genome);
  const layout = layoutOf(slots);
  const resolution = genes.findIndex(({ list }) => list === 'imageSize');
  const known = new Map<number, Sums | undefined>();
  const ask = async (genotypes: readonly Genotype[]): Promise<ArrayLike<number>> =>
    evaluate(genotypes.map((genotype) => genome.decode(genotype)));
  /** The same where many are of one network. */
  const askOnce = async (genotypes: readonly Genotype[]): Promise<number[]> => {
    const keys = genotypes.map((genotype) => genome.key(genotype));
    const distinct = new Map(keys.map((key, i) => [key, genotypes[i]!]));
    const answers = await ask([...distinct.values()]);
    const known = new Map([...distinct.keys()].map((key, i) => [key, answers[i]!]));
    return keys.map((key) => known.get(key)!);
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
    const answers = await askOnce([smallest, ...without, ...probes]);
    let next = 1 + without.length;
    const terms = Float64Array.from(
      slots.flatMap(({ count }, s) =>
        Array.from({ length: count }, () => answers[next++]! - answers[1 + s]!),
      ),
    );
    const sums = { base: answers[0]!, terms };
    const chance = createRandom('additive', size);
    const checks = Array.from({ length: CHECKS }, () => {
      const genotype = genome.sample(chance);
      if (resolution >= 0) genotype[resolution] = size;
      return genotype;
    });
    const wanted = await ask(checks);
    const agrees = checks.every((genotype, i) => {
      const own = sum(sums, layout, genotype);
      // Also Infinity, where something of the network is not known.
      return own === wanted[i] || Math.abs(own - wanted[i]!) <= SUM_TOLERANCE * Math.abs(wanted[i]!);
    });
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
      else values[i] = sum(sums, layout, genotypes[i]!);
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
