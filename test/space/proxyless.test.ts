/** ProxylessNAS's networks: relu6, no squeeze-excite, no mix layer, a last stage of one block (`EN/networks/ofa_proxyless.py:49-90`). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { networkCosts } from '../../src/space/costs.js';
import { sharedData } from '../support/sharedData.js';
import { shippedSpace } from '../support/spaces.js';

const fixturePath = sharedData('ofa-fixtures/subnets_proxyless.json');
const numbers = z.array(z.number());
const fixtureSchema = z.object({
  subnets: z.array(
    z.object({
      ks: numbers,
      e: numbers,
      d: numbers,
      image_size: z.number(),
      macs: z.number(),
      params: z.number(),
      out_channels: numbers,
      mid_channels: numbers,
    }),
  ),
});

describe('ofa-proxyless', () => {
  it.skipIf(fixturePath === undefined)('agrees with the reference implementation to the unit', () => {
    const { subnets } = fixtureSchema.parse(JSON.parse(readFileSync(fixturePath!, 'utf8')));
    const imageSizes = subnets.map(({ image_size }) => image_size);
    const space = shippedSpace('ofa-proxyless', { width: 0.25, classes: 10, imageSizes });
    expect(subnets.length).toBeGreaterThan(0);
    for (const { ks, e, d, image_size: imageSize, ...wanted } of subnets) {
      const network = space.network({ ks, e, d, imageSize });
      const body = network.blocks.filter(({ name }) => name === 'first' || name.startsWith('stage'));
      const mid = body.map(({ layers }) => layers.find((layer) => layer.name === 'depthwise'));
      expect(body.map(({ output }) => output.channels)).toEqual(wanted.out_channels);
      expect(mid.map((layer) => layer?.kind === 'conv' && layer.outChannels)).toEqual(wanted.mid_channels);
      const { macs, params } = networkCosts(network);
      expect({ macs, params }).toEqual({ macs: wanted.macs, params: wanted.params });
    }
  });
});
