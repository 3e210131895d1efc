import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { networkCosts } from '../../src/space/costs.js';
import type { LayerSpec, Network } from '../../src/space/network.js';
import { networkParameters } from '../../src/space/parameters.js';
import { sharedData } from '../support/sharedData.js';
import { shippedSpace } from '../support/spaces.js';

const fixturePath = sharedData('ofa-fixtures/subnets.json');
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

describe('networkCosts', () => {
  it.skipIf(fixturePath === undefined)('agrees with the reference implementation to the unit', () => {
    const { subnets } = fixtureSchema.parse(JSON.parse(readFileSync(fixturePath!, 'utf8')));
    const small = shippedSpace('ofa-mbv3', {
      width: 0.25,
      classes: 10,
      imageSizes: subnets.map(({ image_size }) => image_size),
    });
    expect(subnets.length).toBeGreaterThan(0);
    for (const { ks, e, d, image_size: imageSize, ...wanted } of subnets) {
      const network = small.network({ ks, e, d, imageSize });
      const body = network.blocks.filter(({ name }) => name === 'first' || name.startsWith('stage'));
      const mid = body.map(({ layers }) => layers.find((layer) => layer.name === 'depthwise'));
      expect(body.map(({ output }) => output.channels)).toEqual(wanted.out_channels);
      expect(mid.map((layer) => layer?.kind === 'conv' && layer.outChannels)).toEqual(wanted.mid_channels);
      const { macs, params } = networkCosts(network);
      expect({ macs, params }).toEqual({ macs: wanted.macs, params: wanted.params });
    }
  });

  it('counts the tensors a subnet trains', () => {
    // An independent path: the parameter list, of a network whose kernels are all the stored ones.
    const tiny = shippedSpace('mbv3-tiny');
    const network = tiny.network(tiny.largest);
    const counted = networkParameters(network, 'used')
      .filter(({ role }) => ['weight', 'bias', 'normScale', 'normShift'].includes(role))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
    expect(networkCosts(network).params).toBe(counted);
  });

  it('adds up its blocks', () => {
    const cifar = shippedSpace('mbv3-cifar');
    const network = cifar.network(cifar.smallest);
    const costs = networkCosts(network);
    for (const key of ['macs', 'params', 'modelBytes'] as const)
      expect(costs[key]).toBe(costs.blocks.reduce((sum, block) => sum + block[key], 0));
    expect(costs.peakActivationBytes).toBe(Math.max(...costs.blocks.map((b) => b.peakActivationBytes)));
    expect(costs.blocks.map(({ key }) => key)).toEqual(network.blocks.map(({ key }) => key));
  });

  const conv = (name: string, inChannels: number, outChannels: number, bias: boolean): LayerSpec => ({
    kind: 'conv',
    name,
    inChannels,
    outChannels,
    kernel: 3,
    stride: 1,
    groups: 1,
    bias,
    kernelChoices: [3],
    kernelTransform: false,
  });
  const norm = (channels: number): LayerSpec => ({
    kind: 'batchNorm',
    name: 'norm',
    channels,
    epsilon: 1e-5,
    momentum: 0.1,
  });
  const twoConvs = (shortcut: Network['blocks'][number]['shortcut']): Network => {
    const shape = { channels: 2, height: 5, width: 5 };
    const layers = [conv('a', 2, 8, false), norm(8), conv('b', 8, 2, true), norm(2)];
    return {
      input: shape,
      classes: 2,
      blocks: [{ name: 'x', key: 'x', input: shape, output: shape, layers, shortcut }],
    };
  };

  it('folds batch norms into biases for modelBytes', () => {
    // a: 2*8*9 weights + 8 biases from its norm; b: 8*2*9 weights + its own 2 biases.
    expect(networkCosts(twoConvs('none')).modelBytes).toBe(4 * (144 + 8 + 144 + 2));
    expect(networkCosts(twoConvs('none')).params).toBe(144 + 16 + 144 + 2 + 4);
    expect(networkCosts(twoConvs('none')).macs).toBe(25 * (144 + 144));
  });

  it('keeps a shortcut alive beside the layers it goes around', () => {
    expect(networkCosts(twoConvs('none')).peakActivationBytes).toBe(4 * 25 * (2 + 8));
    expect(networkCosts(twoConvs('identity')).peakActivationBytes).toBe(4 * 25 * (8 + 2 + 2));
    // While the shortcut's convolution runs: its input, its 12 channels and the main path's 2.
    const projected = networkCosts(twoConvs([conv('c', 2, 12, false), conv('d', 12, 2, false)]));
    expect(projected.peakActivationBytes).toBe(4 * 25 * (2 + 12 + 2));
    expect(projected.macs).toBe(25 * (144 + 144 + 216 + 216));
  });
});
