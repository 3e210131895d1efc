/** The family must also describe ProxylessNAS's networks: relu6, no squeeze-excite, no mix layer, a last stage of one block. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { networkCosts } from '../../src/space/costs.js';
import { createSpace } from '../../src/space/space.js';
import { sharedData } from '../support/sharedData.js';

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

/** `EN/networks/ofa_proxyless.py:49-90`. */
const stage = (width: number, stride: number, depth = [2, 3, 4]) => ({
  width,
  stride,
  activation: 'relu6',
  squeezeExcite: false,
  depth,
  kernel: [3, 5, 7],
  expand: [3, 4, 6],
});
const proxyless = {
  format: 'ofakit.space/1',
  name: 'proxyless',
  description: 'for tests',
  family: 'mbconv',
  inputChannels: 3,
  imageSizes: [128, 160],
  classes: 10,
  width: 0.25,
  dropout: 0.1,
  batchNorm: { epsilon: 1e-3, momentum: 0.1 },
  network: {
    stem: { width: 32, kernel: 3, stride: 2, activation: 'relu6' },
    firstBlock: {
      width: 16,
      kernel: 3,
      stride: 1,
      expand: 1,
      activation: 'relu6',
      squeezeExcite: false,
      residual: false,
    },
    stages: [stage(24, 2), stage(40, 2), stage(80, 2), stage(96, 1), stage(192, 2), stage(320, 1, [1])],
    head: { expand: 1280, activation: 'relu6' },
    kernelTransform: true,
  },
};

describe('a ProxylessNAS space', () => {
  it.skipIf(fixturePath === undefined)('agrees with the reference implementation to the unit', () => {
    const { subnets } = fixtureSchema.parse(JSON.parse(readFileSync(fixturePath!, 'utf8')));
    const space = createSpace(proxyless, { imageSizes: subnets.map(({ image_size }) => image_size) });
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
