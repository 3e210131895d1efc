/** The family must describe the networks of the reference's ResNet50 space, to the unit. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { networkCosts } from '../../src/space/costs.js';
import { countNetworks, enumerateArchitectures } from '../../src/space/enumerate.js';
import { architectureKey } from '../../src/space/canonical.js';
import { isActive } from '../../src/space/gene.js';
import { parseArchitecture } from '../../src/space/file.js';
import type { Network } from '../../src/space/network.js';
import { sharedData } from '../support/sharedData.js';
import { resnetFixtureSpace, shippedSpace, tinyResnet } from '../support/spaces.js';

const fixturePath = sharedData('ofa-fixtures/subnets_resnet.json');
const numbers = z.array(z.number());
const subnet = z.object({
  e: numbers,
  d: numbers,
  w: numbers,
  image_size: z.number(),
  macs: z.number(),
  params: z.number(),
  out_channels: numbers,
  mid_channels: numbers,
});
const fixtureSchema = z.object({ subnets: z.array(subnet), extremes: z.array(subnet) });

const bodyOf = ({ blocks }: Network) => blocks.filter(({ name }) => name.startsWith('stage'));

describe.skipIf(fixturePath === undefined)('subnets of the reference', () => {
  const { subnets, extremes } =
    fixturePath === undefined
      ? { subnets: [], extremes: [] }
      : fixtureSchema.parse(JSON.parse(readFileSync(fixturePath, 'utf8')));

  it('are there', () => {
    expect(subnets.length).toBeGreaterThan(0);
    expect(extremes.length).toBeGreaterThan(0);
  });

  it.each([...subnets, ...extremes].map((s, i) => [i, s] as const))('subnet %i to the unit', (_, wanted) => {
    const space = resnetFixtureSpace([wanted.image_size]);
    const network = space.network(parseArchitecture(wanted, space));
    const body = bodyOf(network);
    const middle = body.map(({ layers }) => layers.find(({ name }) => name === 'middle'));
    expect(body.map(({ output }) => output.channels)).toEqual(wanted.out_channels);
    expect(middle.map((layer) => layer?.kind === 'conv' && layer.outChannels)).toEqual(wanted.mid_channels);
    const { macs, params } = networkCosts(network);
    expect({ macs, params }).toEqual({ macs: wanted.macs, params: wanted.params });
  });
});

describe('ofa-resnet50', () => {
  const space = shippedSpace('ofa-resnet50');
  const names = (arch: typeof space.largest): string[] => space.network(arch).blocks.map(({ name }) => name);

  it('has 18 blocks in the largest network, 10 in the smallest, and the stem residual iff d[0] is 2', () => {
    expect(bodyOf(space.network(space.largest))).toHaveLength(18);
    expect(bodyOf(space.network(space.smallest))).toHaveLength(10);
    expect(names(space.largest).slice(0, 3)).toEqual(['stem', 'stemResidual', 'stemOutput']);
    expect(names(space.smallest).slice(0, 3)).toEqual(['stem', 'stemOutput', 'stage0.block0']);
  });

  it('has as many networks as choices multiply to', () => {
    const stage = (base: number): bigint => [0, 1, 2].reduce((sum, d) => sum + 3n ** BigInt(base + d), 0n);
    const sizes = BigInt(space.parameters.imageSizes.length);
    expect(countNetworks(space.genes)).toBe(sizes * 2n * 3n ** 6n * stage(2) ** 3n * stage(4));
  });

  it('removes blocks from the end of a stage', () => {
    const arch = { ...space.largest, d: [2, 2, 0, 1, 2] };
    expect(names(arch).filter((name) => /stage[12]/.test(name))).toEqual([
      'stage1.block0',
      'stage1.block1',
      ...[0, 1, 2, 3, 4].map((i) => `stage2.block${i}`),
    ]);
    const active = space.genes.filter((gene) => gene.list === 'e' && isActive(arch, gene));
    expect(active.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 14, 15, 16, 17]);
  });

  it('halves the image by every stride, rounding up, on both ways of a block', () => {
    const odd = shippedSpace('ofa-resnet50', { imageSizes: [100] });
    const sizes = odd.network(odd.largest).blocks.map(({ output }) => output.height);
    expect([...new Set(sizes)]).toEqual([50, 25, 13, 7, 4, 1]);
  });

  it('multiplies --width on top of the width choices', () => {
    const half = shippedSpace('ofa-resnet50', { width: 0.5 });
    const out = (s: typeof space): number[] =>
      bodyOf(s.network(s.largest)).map(({ output }) => output.channels);
    expect(out(half)).toEqual(out(space).map((n) => n / 2));
    const first = half
      .network(half.largest)
      .blocks.map(({ output }) => output.channels)
      .slice(0, 3);
    expect(first).toEqual([16, 16, 32]);
  });

  it('says which width index is wrong', () => {
    expect(() => space.network({ ...space.largest, w: [0, 0, 3, 0, 0, 0] })).toThrow(
      'w[2] must be one of 0, 1, 2: current value is 3',
    );
    const { w: _w, ...without } = space.largest;
    expect(() => space.network(without)).toThrow('w must have 6 values: it has 0');
  });
});

it('enumerates every network of a tiny space once', () => {
  const space = tinyResnet();
  const keys = [...enumerateArchitectures(space.genes)].map((arch) => architectureKey(space.genes, arch));
  expect(new Set(keys).size).toBe(keys.length);
  expect(BigInt(keys.length)).toBe(countNetworks(space.genes));
});
