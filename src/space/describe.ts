/** What `ofa space list` and `ofa space show` tell about a search space. */
import { networkCosts } from './costs.js';
import { countGenotypes, countNetworks } from './enumerate.js';
import type { GeneList } from './gene.js';
import type { SearchSpace } from './space.js';

/** Genes of one list with the same choices; those with other choices are a dimension of their own. */
export interface Dimension {
  readonly list: GeneList;
  readonly meaning: string;
  /** Indices in the architecture's list. */
  readonly positions: readonly number[];
  readonly choices: readonly number[];
}

export interface SpaceDescription {
  readonly name: string;
  readonly description: string;
  readonly family: string;
  readonly width: number;
  readonly classes: number;
  readonly inputChannels: number;
  readonly dimensions: readonly Dimension[];
  /** Distinct networks, image sizes included; decimal digits, as it exceeds what JSON's numbers hold. */
  readonly subnets: string;
  /** Combinations of values, those of positions that depth switches off included. */
  readonly genotypes: string;
  /** Of the smallest and the largest architecture. */
  readonly macs: readonly [number, number];
  readonly params: readonly [number, number];
}

const MEANINGS: Record<GeneList, string> = {
  imageSize: 'image size',
  d: 'depth of a stage',
  ks: 'kernel size of a block',
  e: 'expand ratio of a block',
  w: 'width of a stage (index)',
};

export function describeSpace(space: SearchSpace): SpaceDescription {
  const dimensions = new Map<string, { list: GeneList; positions: number[]; choices: readonly number[] }>();
  for (const { list, index, choices } of space.genes) {
    const id = `${list}:${choices.join()}`;
    const dimension = dimensions.get(id);
    if (dimension === undefined) dimensions.set(id, { list, positions: [index], choices });
    else dimension.positions.push(index);
  }
  const smallest = networkCosts(space.network(space.smallest));
  const largest = networkCosts(space.network(space.largest));
  return {
    name: space.name,
    description: space.file.description,
    family: space.file.family,
    width: space.parameters.width,
    classes: space.parameters.classes,
    inputChannels: space.parameters.inputChannels,
    dimensions: [...dimensions.values()].map((d) => ({ ...d, meaning: MEANINGS[d.list] })),
    subnets: `${countNetworks(space.genes)}`,
    genotypes: `${countGenotypes(space.genes)}`,
    macs: [smallest.macs, largest.macs],
    params: [smallest.params, largest.params],
  };
}
