/** Supernets of bottlenecks: what they store, slices, channel sorting, training, export. */
import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { exportSubnet } from '../../src/export/exportSubnet.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { inferenceGraph } from '../../src/graph/network.js';
import { networkParameters } from '../../src/space/parameters.js';
import { createSpace } from '../../src/space/space.js';
import {
  blockOrders,
  channelNorms,
  hiddenChannels,
  sortChannels,
} from '../../src/supernet/channelSorting.js';
import { isLeading } from '../../src/supernet/slicing.js';
import { extractSubnet, staticNetwork } from '../../src/supernet/subnet.js';
import { storedParameters } from '../../src/supernet/weights.js';
import { sizeOf, type Tensor } from '../../src/util/tensor.js';
import { randomArchitecture, randomStatistics, randomSupernet } from '../export/spaces.js';
import { naiveNetwork } from '../support/naiveNetwork.js';
import { sharedData } from '../support/sharedData.js';
import { resnetFixtureSpace, tinyResnet } from '../support/spaces.js';
import { disturbedWeights, randomTensor } from '../support/supernets.js';
import { createRandom } from '../../src/util/random.js';
import { architectures } from './spaces.js';
import '../support/matchers.js';

const fixturePath = sharedData('ofa-fixtures/subnets_resnet.json');
const space = tinyResnet();
const weights = disturbedWeights(space, 'resnet');

describe('what is stored', () => {
  it.skipIf(fixturePath === undefined)('is as much as in the reference', () => {
    const wanted = z
      .object({ supernet_params: z.number(), n_batchnorms: z.number() })
      .parse(JSON.parse(readFileSync(fixturePath!, 'utf8')));
    const stored = storedParameters(resnetFixtureSpace([128]));
    const trained = stored.filter(({ role }) => !role.startsWith('running'));
    expect(trained.reduce((sum, { shape }) => sum + sizeOf(shape), 0)).toBe(wanted.supernet_params);
    expect(stored.filter(({ role }) => role === 'normScale')).toHaveLength(wanted.n_batchnorms);
  });

  it('has every subnet in its leading parts', () => {
    const shapes = new Map(storedParameters(space).map(({ name, shape }) => [name, shape]));
    fc.assert(
      fc.property(architectures(space), (arch) => {
        for (const { name, shape } of networkParameters(space.network(arch), 'used'))
          expect(isLeading(shapes.get(name) ?? [], shape)).toBe(true);
      }),
    );
  });

  it.each([0, 1, 2, 3])('computes subnet %i as it does extracted', (i) => {
    const arch = { ...randomArchitecture(space, createRandom('extracted', i)), imageSize: 18 };
    const network = space.network(arch);
    const images = randomTensor([2, 1, 18, 18], 'images', i);
    const graph = inferenceGraph(staticNetwork(network).blocks, extractSubnet(weights, network), 2);
    const logits = evaluate(graph, new Map([['input', images.data]])).get('logits')!;
    const expected = naiveNetwork(network, images, weights, { training: false }).y;
    expect(logits.data).toBeAllclose(expected.data, { relative: 1e-10 });
  });
});

describe('channel sorting', () => {
  const largest = space.network(space.largest);
  const body = largest.blocks.filter(({ name }) => name.startsWith('stage'));

  it('concerns the two inner widths of a bottleneck, the last one first, and nothing else', () => {
    for (const block of largest.blocks) {
      const consumers = hiddenChannels(block).map(({ consumer }) => consumer);
      expect(consumers).toEqual(block.name.startsWith('stage') ? ['expand', 'middle'] : []);
    }
  });

  it.each([0, 1])('keeps what the largest network computes, stage %i', (stage) => {
    const sorted = sortChannels(space, weights, stage).weights;
    const images = randomTensor([2, 1, 18, 18], 'sorting');
    const [before, after] = [weights, sorted].map((w) =>
      naiveNetwork(space.network({ ...space.largest, imageSize: 18 }), images, w, { training: true }),
    );
    expect(after!.y.data).toBeAllclose(before!.y.data, { relative: 1e-9 });
    expect(sorted.get('stage0.block0.middle.weight')!.data).not.toEqual(
      weights.get('stage0.block0.middle.weight')!.data,
    );
  });

  it('puts the channels that matter most to the next layer in front', () => {
    const sorted = sortChannels(space, weights, 0).weights;
    for (const { name } of body) {
      for (const layer of ['middle', 'expand']) {
        const norms = channelNorms(sorted.get(`${name}.${layer}.weight`)!, 1);
        expect(norms).toEqual([...norms].sort((a, b) => b - a));
      }
    }
  });

  /** Reads, one after the other, as `dynamic_layers.py:766-841` does: conv3 -> conv2, then conv2 -> conv1. */
  it('moves the same channels as the reference', () => {
    const block = body[0]!;
    const own = new Map<string, Tensor>(
      [...weights].flatMap(([name, t]) =>
        name.startsWith(`${block.name}.`) ? [[name.slice(block.name.length + 1), t]] : [],
      ),
    );
    const order = (consumer: Tensor): number[] => {
      const norms = channelNorms(consumer, 1);
      return norms.map((_, c) => c).sort((a, b) => norms[b]! - norms[a]!);
    };
    const [fromThird, fromSecond] = ['expand', 'middle'].map((name) => order(own.get(`${name}.weight`)!));
    const orders = blockOrders(
      block,
      (name) => own.get(name)!,
      () => [16, 8],
      0,
    );
    const found = new Map(orders.map(({ name, dim, order: by }) => [`${name} ${dim}`, by]));
    const norm = (name: string): string[] =>
      ['weight', 'bias', 'runningMean', 'runningVariance'].map((suffix) => `${name}.${suffix} 0`);
    const third = ['expand.weight 1', 'middle.weight 0', ...norm('middleNorm')];
    const second = ['middle.weight 1', 'reduce.weight 0', ...norm('reduceNorm')];
    expect([...found.keys()].sort()).toEqual([...third, ...second].sort());
    for (const key of third) expect(found.get(key)).toEqual(fromThird);
    for (const key of second) expect(found.get(key)).toEqual(fromSecond);
  });
});

describe('export', () => {
  const supernet = randomSupernet(space, 'export');
  it.each(['largest', 'smallest', 0, 1])(
    'the file of subnet %s computes what the supernet does',
    async (which) => {
      const folder = await mkdtemp(join(tmpdir(), 'ofakit-resnet-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      const arch =
        typeof which === 'number'
          ? randomArchitecture(space, createRandom('export', which))
          : space[which as 'largest' | 'smallest'];
      const { verification } = await exportSubnet({
        space,
        weights: supernet,
        arch,
        statistics: randomStatistics(space, arch, 'export'),
        outPath: join(folder, 'subnet.onnx'),
        batch: which === 0 ? 'dynamic' : 1,
      });
      expect(verification.problems).toEqual([]);
      expect(verification.paths).toHaveLength(5);
      for (const { relativeDifference } of verification.paths) expect(relativeDifference).toBeLessThan(1e-4);
      expect(verification.largestLogit).toBeGreaterThan(0.1);
      const { architecture, space: origin } = verification.metadata;
      expect(architecture).toMatchObject({ d: arch.d, w: arch.w, ks: [] });
      expect(createSpace({ ...space.file, ...origin!.overrides }).file).toEqual(space.file);
    },
  );
});
