import { describe, expect, it } from 'vitest';
import { macroArchitecture, macroGenes, macroText } from '../../src/accuracy/benchmarks/macroSpace.js';
import { canonicalMacro } from '../../src/accuracy/benchmarks/nasBenchMacro.js';
import { countNetworks, enumerateArchitectures } from '../../src/space/enumerate.js';
import { Genome } from '../../src/space/genotype.js';

const strings = Array.from({ length: 3 ** 8 }, (_, i) => i.toString(3).padStart(8, '0'));

describe('macroGenes', () => {
  it('have as many networks as the benchmark', () => {
    expect(countNetworks(macroGenes)).toBe(3969n);
    const texts = [...enumerateArchitectures(macroGenes)].map(macroText);
    expect(new Set(texts)).toEqual(new Set(strings.map(canonicalMacro)));
  });

  it('give strings of one network one key, and others others', () => {
    const genome = new Genome(macroGenes);
    const keys = new Map<string, string>();
    for (const text of strings) {
      const key = genome.key(genome.encode(macroArchitecture(text)));
      const before = keys.get(canonicalMacro(text));
      if (before === undefined) keys.set(canonicalMacro(text), key);
      else expect(key).toBe(before);
    }
    expect(new Set(keys.values()).size).toBe(keys.size);
  });

  it('give back the canonical string', () => {
    for (const text of strings) expect(macroText(macroArchitecture(text))).toBe(canonicalMacro(text));
  });
});
