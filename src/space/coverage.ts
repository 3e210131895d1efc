/** The part of a space that something can answer about: a latency table may lack image sizes, or blocks. */
import type { Architecture } from './architecture.js';
import { geneLabel, geneValue, hasPosition, isActive, type Gene } from './gene.js';
import { architectureOf } from './space.js';

export interface Coverage {
  /** Those that were asked about, without the values that no network has that can be answered. */
  readonly genes: readonly Gene[];
  /** How much of a network is not known: 0 where it can be answered. Absent where all networks of `genes` can. */
  readonly lacks?: (arch: Architecture) => number;
  /** What of the genes asked about cannot be answered, in one line for people; absent where all can. */
  readonly leftOut?: string;
}

/** Throws UserError where nothing can be answered. */
export type CoverageFunction = (genes: readonly Gene[]) => Coverage;

/** Fewest missing first, one group of genes after the other; undefined where no step leads to a network without any. */
function descend(
  genes: readonly Gene[],
  start: Architecture,
  lacks: (arch: Architecture) => number,
): Architecture | undefined {
  const elastic = genes.filter(({ choices }) => choices.length > 1);
  const groups = [...new Set(elastic.map(({ group }) => group))].map((name) =>
    elastic.filter(({ group }) => group === name),
  );
  let here = start;
  let missing = lacks(here);
  for (let before = Number.POSITIVE_INFINITY; missing > 0 && missing < before;) {
    before = missing;
    for (const group of groups) {
      for (const arch of settings(genes, group, here)) {
        const count = lacks(arch);
        if (count < missing) [here, missing] = [arch, count];
        if (missing === 0) return here;
      }
    }
  }
  return missing === 0 ? here : undefined;
}

/** All settings of a group, the other genes as they are. */
function settings(genes: readonly Gene[], group: readonly Gene[], arch: Architecture): Architecture[] {
  let list = [arch];
  for (const gene of group)
    list = list.flatMap((base) =>
      gene.choices.map((choice) =>
        architectureOf(genes, (other) => (other === gene ? choice : geneValue(base, other))),
      ),
    );
  return list;
}

/** The genes, limited to networks in which this one has the value and is active; undefined where there are none. */
function withValue(genes: readonly Gene[], wanted: Gene, value: number): Gene[] | undefined {
  const { needs } = wanted;
  const limited = genes.map((gene) => {
    if (gene === wanted) return { ...gene, choices: [value] };
    if (needs === undefined || gene.list !== 'd' || gene.index !== needs.stage) return gene;
    return { ...gene, choices: gene.choices.filter((depth) => hasPosition(needs, depth)) };
  });
  return limited.some(({ choices }) => choices.length === 0) ? undefined : limited;
}

/**
 * The genes with those values only that some network has of which nothing is lacking; undefined where there is none. A gene
 * that is active in none of them keeps its smallest value. Networks are sought by descents, so that a value might be
 * dropped that only a network far from all others has.
 */
export function coveredGenes(
  genes: readonly Gene[],
  lacks: (arch: Architecture) => number,
): Gene[] | undefined {
  const ends = (limited: readonly Gene[]): Architecture[] => [
    architectureOf(limited, ({ choices }) => choices[0]!),
    architectureOf(limited, ({ choices }) => choices.at(-1)!),
  ];
  const found: Architecture[] = [];
  const find = (limited: readonly Gene[]): boolean => {
    const near = found
      .slice(0, 1)
      .map((base) =>
        architectureOf(limited, (gene) =>
          gene.choices.includes(geneValue(base, gene)) ? geneValue(base, gene) : gene.choices[0]!,
        ),
      );
    for (const start of [...near, ...ends(limited)]) {
      const arch = descend(limited, start, lacks);
      if (arch === undefined) continue;
      found.push(arch);
      return true;
    }
    return false;
  };
  if (!find(genes)) return undefined;
  const has = (gene: Gene, value: number): boolean =>
    found.some((arch) => isActive(arch, gene) && geneValue(arch, gene) === value);
  return genes.map((gene) => {
    const choices = gene.choices.filter((value) => {
      if (has(gene, value)) return true;
      const limited = withValue(genes, gene, value);
      return limited !== undefined && find(limited);
    });
    return { ...gene, choices: choices.length > 0 ? choices : [gene.choices[0]!] };
  });
}

/** Named before "and N more". */
const MOST_NAMED = 8;

/** `image_size 128, 132; ks 7; d[2] 4`: values that `genes` has and `kept` does not; [] for none. */
export function droppedValues(genes: readonly Gene[], kept: readonly Gene[]): string[] {
  const deepest = (stage: number): number =>
    kept.find(({ list, index }) => list === 'd' && index === stage)?.choices.at(-1) ?? 0;
  const dropped = genes.flatMap((gene, i) => {
    // A position that no depth switches on any more is said by the depth.
    if (gene.needs !== undefined && !hasPosition(gene.needs, deepest(gene.needs.stage))) return [];
    const values = gene.choices.filter((choice) => !kept[i]!.choices.includes(choice));
    return values.length === 0 ? [] : [{ gene, values: values.join(', ') }];
  });
  const words: string[] = [];
  for (const list of new Set(dropped.map(({ gene }) => gene.list))) {
    const own = dropped.filter(({ gene }) => gene.list === list);
    const elastic = genes.filter((gene) => gene.list === list && gene.choices.length > 1);
    const values = own[0]!.values;
    const alike =
      own.length > 1 && own.length === elastic.length && own.every((one) => one.values === values);
    words.push(...(alike ? [`${list} ${values}`] : own.map((one) => `${geneLabel(one.gene)} ${one.values}`)));
  }
  return words.length <= MOST_NAMED
    ? words
    : [...words.slice(0, MOST_NAMED), `and ${words.length - MOST_NAMED} more`];
}
