/** The dimensions of a search space. Encoding, sampling, mutation, crossover and counting know nothing else of a family. */
import type { Architecture } from './architecture.js';

/** Which list of an `Architecture` a gene lives in. */
export type GeneList = 'imageSize' | 'd' | 'ks' | 'e' | 'w';

export interface Gene {
  readonly list: GeneList;
  /** Position in its list; 0 for `imageSize`. */
  readonly index: number;
  /** Allowed values, ascending; one value for a gene that is fixed. */
  readonly choices: readonly number[];
  /** Genes of one group are redrawn together by a mutation (kernel and expand of a block position), and listed side by side. */
  readonly group: string;
  /** The depth gene (its index in `d`) that can switch this one off, and the block position, from 0, that must be there. */
  readonly needs?: GeneNeeds;
}

export interface GeneNeeds {
  readonly stage: number;
  readonly position: number;
  /** Blocks that the stage has at any depth, and that `d[stage]` is added to. Default 0: `d[stage]` counts all blocks. */
  readonly base?: number | undefined;
}

/** Whether a stage of depth `d[stage]` = `depth` has the block. */
export function hasPosition({ position, base = 0 }: GeneNeeds, depth: number): boolean {
  return base + depth > position;
}

export function geneValue(arch: Architecture, gene: Gene): number {
  if (gene.list === 'imageSize') return arch.imageSize;
  return arch[gene.list]?.[gene.index] ?? Number.NaN;
}

/** Whether the gene's value has any influence on the network that `arch` builds. */
export function isActive(arch: Architecture, gene: Gene): boolean {
  return gene.needs === undefined || hasPosition(gene.needs, arch.d[gene.needs.stage]!);
}

/** `ks[3]`, `image_size`: the name users see in architecture files. */
export function geneLabel(gene: Gene): string {
  return gene.list === 'imageSize' ? 'image_size' : `${gene.list}[${gene.index}]`;
}
