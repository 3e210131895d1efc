/** Imported supernets compute what the reference implementation does: its own logits, MACs and parameters. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importWeights } from '../../../src/supernet/import/importWeights.js';
import { hasOfaFixtures, loadOfaFixture, OFA_FIXTURES } from '../../support/ofaFixtures.js';
import { subnetParity } from '../../support/parity.js';

/** The fixtures': of the largest |logit|. */
const TOLERANCE = 1e-4;

describe.skipIf(!hasOfaFixtures)('parity with the reference (needs ../shared/data/ofa-fixtures)', () => {
  it.each(OFA_FIXTURES)('$preset', { timeout: 180_000 }, async (fixture) => {
    const { space, checkpoint, subnets } = loadOfaFixture(fixture);
    const weights = await importWeights(readFileSync(checkpoint), space, checkpoint);
    expect(subnets.length).toBeGreaterThan(0);
    for (const subnet of subnets) {
      const { differences, problems, ...equal } = await subnetParity(space, weights, subnet);
      expect({ ...equal, problems }).toEqual({ macsEqual: true, paramsEqual: true, problems: [] });
      expect(differences.size).toBe(7);
      expect([...differences].filter(([, difference]) => !(difference <= TOLERANCE))).toEqual([]);
    }
  });
});
