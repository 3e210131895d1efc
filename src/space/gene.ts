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
  /** The depth gene that can switch this one off, and the position (from 0) it needs: active iff d[stage] > position. */
  readonly needs?: { readonly stage: number; readonly position: number };
}

export function geneValue(arch: Architecture, gene: Gene): number {
  if (gene.list === 'imageSize') return arch.imageSize;
  return arch[gene.list]?.[gene.index] ?? Number.NaN;
}

/** Whether the gene's value has any influence on the network that `arch` builds. */
export function isActive(arch: Architecture, gene: Gene): boolean {
  return gene.needs === undefined || arch.d[gene.needs.stage]! > gene.needs.position;
}

/** `ks[3]`, `image_size`: the name users see in architecture files. */
export function geneLabel(gene: Gene): string {
  return gene.list === 'imageSize' ? 'image_size' : `${gene.list}[${gene.index}]`;
}
