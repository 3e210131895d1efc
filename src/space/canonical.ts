/** One name and one form for all architectures that build the same network. */
import type { Architecture } from './architecture.js';
import { geneValue, isActive, type Gene } from './gene.js';
import { architectureOf } from './space.js';

/** The same network, with every gene that depth switches off at its smallest choice. */
export function canonical(genes: readonly Gene[], arch: Architecture): Architecture {
  return architectureOf(genes, (gene) => (isActive(arch, gene) ? geneValue(arch, gene) : gene.choices[0]!));
}

/**
 * Equal for two architectures of a space iff they build the same network: values in the genes' order, `-` where inactive.
 * But for choices that a width rounds to the same channels: those count as different ones.
 */
export function architectureKey(genes: readonly Gene[], arch: Architecture): string {
  // Joined at once: a search makes a key for every candidate, and strings that grow piece by piece cost it a quarter more.
  const values = new Array<number | string>(genes.length);
  for (let i = 0; i < genes.length; i++) {
    const gene = genes[i]!;
    values[i] = isActive(arch, gene) ? geneValue(arch, gene) : '-';
  }
  return values.join(',');
}
