import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { networkCosts } from '../../src/space/costs.js';
import { blockSignature, makeDivisible, type BlockSpec, type Network } from '../../src/space/network.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import type { SearchSpace } from '../../src/space/space.js';
import { networkFromConfig, readStaticNetwork } from '../../src/space/staticNetwork.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import {
  netConfig,
  publishedConfig,
  publishedNets,
  type BlockRow,
  type PublishedNet,
} from '../support/netConfig.js';
import { sharedData } from '../support/sharedData.js';
import { shippedSpace } from '../support/spaces.js';

const publishedPath = sharedData('ofa-specialized-nets.json');

/**
 * Counted row by row as the reference does (`latency_lookup_table.py`, count_flops_given_config), and the parameters that
 * PyTorch's modules of these sizes have.
 */
function countByHand({ resolution, first_conv, blocks, head }: PublishedNet): {
  macs: number;
  params: number;
} {
  const [expand, last] = head;
  let size = Math.floor((resolution + 1) / 2);
  let macs = size ** 2 * 3 * first_conv * 9;
  let params = 3 * first_conv * 9 + 2 * first_conv;
  for (const [inC, outC, k, stride, ratio, given, , se] of blocks) {
    const mid = given ?? inC * ratio;
    const out = Math.floor((size - 1) / stride + 1);
    if (ratio !== 1) {
      macs += size ** 2 * inC * mid;
      params += inC * mid + 2 * mid;
    }
    macs += out ** 2 * (mid * k * k + mid * outC);
    params += mid * k * k + 2 * mid + mid * outC + 2 * outC;
    if (se === 1) {
      const inner = makeDivisible(Math.floor(mid / 4));
      macs += 2 * mid * inner;
      params += 2 * mid * inner + mid + inner;
    }
    size = out;
  }
  const width = blocks.at(-1)![1];
  if (expand === null) {
    macs += size ** 2 * width * last;
    params += width * last + 2 * last;
  } else {
    macs += size ** 2 * width * expand + expand * last;
    params += width * expand + 2 * expand + expand * last;
  }
  return { macs: macs + last * 1000, params: params + last * 1000 + 1000 };
}

describe('published specialised networks', () => {
  it.skipIf(publishedPath === undefined)('cost what their files and names state', () => {
    const nets = publishedNets(publishedPath!);
    expect(nets).toHaveLength(50);
    let stated = 0;
    for (const net of nets) {
      const network = networkFromConfig(publishedConfig(net), { image_size: net.resolution }, net.name);
      expect(network.input).toEqual({ channels: 3, height: net.resolution, width: net.resolution });
      expect(network.blocks).toHaveLength(net.blocks.length + 3);
      const { macs, params } = networkCosts(network);
      expect({ macs, params }).toEqual(countByHand(net));
      const millions = /^flops-(\d+)M/.exec(net.name)?.[1];
      if (millions === undefined) continue;
      stated++;
      expect(Math.abs(macs / 1e6 - Number(millions))).toBeLessThan(0.5);
    }
    expect(stated).toBe(3);
  });
});

/** The configuration that the reference's `get_active_net_config` would write for a subnet of an mbconv space. */
function configOf(space: SearchSpace, network: Network, old: boolean): Record<string, unknown> {
  const definition = space.file.network as { head: { mix?: number } };
  const rows = network.blocks
    .filter(({ name }) => name === 'first' || name.startsWith('stage'))
    .map((block): BlockRow => {
      const depthwise = block.layers.find((layer) => layer.name === 'depthwise');
      const act = block.layers.find((layer) => layer.kind === 'activation');
      if (depthwise?.kind !== 'conv' || act?.kind !== 'activation')
        throw new TypeError('not an mbconv block');
      const mid = depthwise.outChannels;
      const ratio = block.layers.some(({ name }) => name === 'expand') ? mid / block.input.channels : 1;
      const se = block.layers.some(({ kind }) => kind === 'squeezeExcite');
      return [
        block.input.channels,
        block.output.channels,
        depthwise.kernel,
        depthwise.stride,
        ratio,
        mid,
        act.activation,
        se ? 1 : 0,
        block.shortcut === 'identity' ? 1 : 0,
      ];
    });
  const expand = network.blocks.at(-2)!.output.channels;
  const mix = network.blocks.at(-1)!.layers.find(({ name }) => name === 'mix');
  const head = mix?.kind === 'linear' ? ([expand, mix.outFeatures] as const) : ([null, expand] as const);
  expect(mix !== undefined).toBe(definition.head.mix !== undefined);
  return netConfig(
    { firstConv: network.blocks[0]!.output.channels, blocks: rows, head, classes: network.classes },
    old,
  );
}

/** What a block computes, without what only a supernet knows of it. */
function computation(block: BlockSpec): string {
  const layers = block.layers.map((layer) =>
    layer.kind === 'conv'
      ? { ...layer, kernelChoices: [], kernelTransform: false }
      : layer.kind === 'dropout'
        ? { ...layer, rate: 0 }
        : layer,
  );
  return blockSignature({ ...block, layers });
}

describe('networkFromConfig', () => {
  it.each(['ofa-mbv3', 'ofa-proxyless'])('builds the same blocks as the space %s', (name) => {
    const space = shippedSpace(name, { width: 1.2, classes: 7 });
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (seed, old) => {
        const arch = sampleArchitecture(space.genes, createRandom(seed));
        const network = space.network(arch);
        const read = networkFromConfig(configOf(space, network, old), { image_size: arch.imageSize });
        expect(read.blocks.map(({ key }) => key)).toEqual(network.blocks.map(({ key }) => key));
        expect(read.blocks.map(computation)).toEqual(network.blocks.map(computation));
        expect(read.classes).toBe(7);
      }),
      { numRuns: 30 },
    );
  });

  const row = (...values: BlockRow): BlockRow => values;
  const first = row(16, 16, 3, 1, 1, 16, 'relu', 0, 1);
  const wide = row(16, 24, 5, 2, 4, null, 'h_swish', 1, 0);
  const config = (blocks: readonly BlockRow[] = [first, wide], classes = 10): Record<string, unknown> =>
    netConfig({ firstConv: 16, blocks, head: [144, 128], classes });
  const run = { image_size: 32, n_epochs: 25, dataset: 'imagenet' };

  it('computes middle channels where the file does not say them', () => {
    const { blocks } = networkFromConfig(config(), run);
    expect(blocks[2]!.key).toBe('mbconv-in16x16x16-out24-mid64-k5-s2-h_swish-se');
  });

  it('leaves out blocks that were searched away', () => {
    const nothing = {
      name: 'MobileInvertedResidualBlock',
      mobile_inverted_conv: { name: 'ZeroLayer', stride: 1 },
      shortcut: { name: 'IdentityLayer' },
    };
    const whole = config();
    const blocks = whole['blocks'] as object[];
    const keys = (content: unknown): string[] => networkFromConfig(content, run).blocks.map(({ key }) => key);
    expect(keys({ ...whole, blocks: [blocks[0], nothing, blocks[1]] })).toEqual(keys(whole));
    expect(() => keys({ ...whole, blocks: [{ ...nothing, shortcut: null }] })).toThrow(
      /at "blocks.0": it has neither/,
    );
  });

  it.each([
    [{ ...config(), name: 'ResNets' }, /Unknown class of network .*known are MobileNetV3, ProxylessNASNets/],
    [config([first, row(24, 24, 3, 1, 3, 72, 'relu', 0, 1)]), /at "blocks.1": it must take the 16 channels/],
    [config([row(16, 24, 3, 1, 3, 48, 'relu', 0, 1)]), /at "blocks.0": a shortcut needs/],
    [config([row(16, 16, 3, 1, 1, 32, 'relu', 0, 1)]), /at "blocks.0": without expansion .*it has 32/],
    [config([row(16, 16, 3, 1, 3, 48, 'gelu', 0, 1)]), /at "blocks.0.mobile_inverted_conv.act_func"/],
    [{ ...config(), first_conv: undefined }, /at "first_conv"/],
    [{ ...config(), blocks: [{ shortcut: null }] }, /at "blocks.0": a block must have/],
    [[], /Cannot use the network/],
  ])('refuses what it cannot build (%#)', (content, message) => {
    expect(() => networkFromConfig(content, run)).toThrow(UserError);
    expect(() => networkFromConfig(content, run)).toThrow(message);
  });

  it('wants an image size', () => {
    expect(() => networkFromConfig(config(), {}, 'net.config')).toThrow(
      /Cannot use the run.config of net.config at "image_size"/,
    );
  });
});

describe('readStaticNetwork', () => {
  it('reads a folder, a file with run.config beside it, or another image size', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'net-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'net.config');
    const content = netConfig({
      firstConv: 8,
      blocks: [[8, 16, 3, 2, 3, 24, 'relu6', 0, 0]],
      head: [null, 32],
    });
    await writeFile(file, JSON.stringify(content));
    await expect(readStaticNetwork(file)).rejects.toThrow(
      /there is no .*run\.config; say it with --image-size/,
    );
    expect(await readStaticNetwork(file, 40)).toEqual(networkFromConfig(content, { image_size: 40 }));
    await writeFile(join(folder, 'run.config'), '{"image_size": 24}');
    const expected = networkFromConfig(content, { image_size: 24 });
    expect(await readStaticNetwork(file)).toEqual(expected);
    expect(await readStaticNetwork(folder)).toEqual(expected);
  });
});
