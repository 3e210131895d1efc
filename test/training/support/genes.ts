import type { Architecture } from '../../../src/space/architecture.js';

/** Values of one list of an architecture. */
export function listOf(arch: Architecture, list: 'imageSize' | 'ks' | 'e' | 'd'): readonly number[] {
  return list === 'imageSize' ? [arch.imageSize] : arch[list];
}
