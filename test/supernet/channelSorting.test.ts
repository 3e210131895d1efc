import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blockOrders,
  channelNorms,
  channelOrders,
  hiddenChannels,
  importanceOrder,
  reorderChannels,
  sortChannels,
} from '../../src/supernet/channelSorting.js';
import { initialiseWeights, storedParameters } from '../../src/supernet/weights.js';
import type { BlockSpec, ConvLayer, LayerSpec } from '../../src/space/network.js';
import { blockParameters, isTrainable } from '../../src/space/parameters.js';
import { tensor } from '../../src/util/tensor.js';
import { naiveForward, type Feature } from './naiveForward.js';
import { randomised, randomTensor, smallSpace } from './spaces.js';

function randomFeature(channels: number, size: number): Feature {
  return { channels, size, data: Float64Array.from(randomTensor([channels, size, size], 'input').data) };
}

function expectSame(a: Feature, b: Feature): void {
  const scale = Math.max(...a.data.map(Math.abs));
  expect(a.data.length).toBe(b.data.length);
  const worst = a.data.reduce((m, v, i) => Math.max(m, Math.abs(v - b.data[i]!)), 0);
  expect(worst / scale).toBeLessThan(1e-12);
}

/** The reference's form: multiples of 1e5 added band by band (`dynamic_layers.py:355-376`). */
function referenceOrder(importance: readonly number[], widths: readonly number[], stage: number): number[] {
  const shifted = [...importance];
  if (stage > 0) {
    let right = shifted.length;
    let base = -widths.length * 1e5;
    for (let i = 0; i <= stage; i++) {
      const left = widths[i]!;
      for (let c = left; c < right; c++) shifted[c]! += base;
      base += 1e5;
      right = left;
    }
  }
  return shifted.map((_, c) => c).sort((a, b) => shifted[b]! - shifted[a]!);
}

describe('importanceOrder', () => {
  it('orders as the reference does', () => {
    const cases = fc
      .record({
        // Sixteenths stay exact beside 1e5, so that equal order means equal rule.
        importance: fc.array(fc.integer({ min: 0, max: 4000 }), { minLength: 1, maxLength: 40 }),
        cuts: fc.uniqueArray(fc.integer({ min: 1, max: 39 }), { maxLength: 4 }),
      })
      .map(({ importance, cuts }) => {
        const smaller = cuts.filter((cut) => cut < importance.length).sort((a, b) => b - a);
        return { importance: importance.map((v) => v / 16), widths: [importance.length, ...smaller] };
      })
      .chain((made) => fc.record({ made: fc.constant(made), stage: fc.nat(made.widths.length - 1) }));
    fc.assert(
      fc.property(cases, ({ made: { importance, widths }, stage }) => {
        const order = importanceOrder(importance, widths, stage);
        expect(order).toEqual(referenceOrder(importance, widths, stage));
        const trained = widths[stage]!;
        if (stage > 0) expect(order.slice(0, trained).every((c) => c < trained)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('sums absolute values over all other dimensions', () => {
    const t = tensor([2, 2, 1, 2], Float32Array.of(1, -2, 3, -4, 5, -6, 7, -8));
    expect(channelNorms(t, 0)).toEqual([10, 26]);
    expect(channelNorms(t, 1)).toEqual([14, 22]);
    expect(channelNorms(t, 3)).toEqual([16, 20]);
  });
});

describe('sortChannels on inverted residual blocks', () => {
  const space = smallSpace();
  const weights = randomised(initialiseWeights(space, 2), 'sorting');
  const blocks = space.network(space.largest).blocks;

  it.each([0, 1, 2])('does not change what any block of the largest network computes (stage %i)', (stage) => {
    const sorted = sortChannels(space, weights, stage).weights;
    for (const block of blocks.slice(0, -1)) {
      const x = randomFeature(block.input.channels, 5);
      expectSame(
        naiveForward(block, x, (name) => weights.get(`${block.name}.${name}`)!),
        naiveForward(block, x, (name) => sorted.get(`${block.name}.${name}`)!),
      );
    }
    expect(sorted.get('stage1.block1.project.weight')).not.toEqual(
      weights.get('stage1.block1.project.weight'),
    );
  });

  it('puts hidden channels and the inner ones of squeeze-excite in descending order', () => {
    const sorted = sortChannels(space, weights, 0).weights;
    for (const name of [
      'stage0.block1.project',
      'stage1.block0.squeezeExcite.expand',
      'stage2.block1.project',
    ]) {
      const norms = channelNorms(sorted.get(`${name}.weight`)!, 1);
      expect(norms, name).toEqual([...norms].sort((a, b) => b - a));
      expect(channelNorms(weights.get(`${name}.weight`)!, 1), name).not.toEqual(norms);
    }
  });

  it('keeps the channels of trained widths among themselves', () => {
    // Expand 4, 3, 2, 1 of 8 channels: widths 32, 24, 16, 8.
    const orders = channelOrders(space, weights, 2);
    const { order } = orders.find(({ name }) => name === 'stage0.block0.depthwise.weight')!;
    const sets = [order.slice(0, 16), order.slice(16, 24), order.slice(24)].map((o) =>
      [...o].sort((a, b) => a - b),
    );
    const range = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, i) => from + i);
    expect(sets).toEqual([range(0, 16), range(16, 24), range(24, 32)]);
    expect(order).not.toEqual(range(0, 32));
  });

  it('carries momentum along, and leaves arguments, other tensors and rigid widths alone', () => {
    const before = structuredClone(weights);
    const trainable = storedParameters(space).filter(({ role }) => isTrainable(role));
    // Momentum equal to the weights must stay equal to them.
    const momentum = new Map(trainable.map(({ name }) => [name, weights.get(name)!]));
    const { weights: sorted, beside } = sortChannels(space, weights, 0, [momentum]);
    expect(weights).toEqual(before);
    expect([...beside[0]!.keys()]).toEqual([...momentum.keys()]);
    for (const [name, value] of beside[0]!) expect(value).toEqual(sorted.get(name));
    for (const name of ['stem.conv.weight', 'stage0.block0.projectNorm.bias', 'classifier.mix.weight']) {
      expect(sorted.get(name)).toBe(weights.get(name));
    }
    expect(
      channelOrders(smallSpace({ expand: [4] }), initialiseWeights(smallSpace({ expand: [4] }), 1), 0),
    ).toEqual([]);
  });
});

/** ResNet's bottleneck with squeeze-excite between, biases, and layers on the shortcut. */
function bottleneck(): BlockSpec {
  const conv = (
    name: string,
    inChannels: number,
    outChannels: number,
    rest: Partial<ConvLayer> = {},
  ): ConvLayer => ({
    kind: 'conv',
    name,
    inChannels,
    outChannels,
    kernel: 1,
    stride: 1,
    groups: 1,
    bias: true,
    kernelChoices: [rest.kernel ?? 1],
    kernelTransform: false,
    ...rest,
  });
  const after = (i: number, channels: number): LayerSpec[] => [
    { kind: 'batchNorm', name: `bn${i}`, channels, epsilon: 1e-5, momentum: 0.1 },
    { kind: 'activation', name: `act${i}`, activation: 'relu' },
  ];
  return {
    name: 'block',
    key: 'block',
    input: { channels: 6, height: 4, width: 4 },
    output: { channels: 8, height: 4, width: 4 },
    layers: [
      conv('conv1', 6, 12),
      ...after(1, 12),
      conv('conv2', 12, 10, { kernel: 3 }),
      ...after(2, 10),
      { kind: 'squeezeExcite', name: 'se', channels: 10, midChannels: 4 },
      conv('conv3', 10, 8),
      ...after(3, 8),
    ],
    shortcut: [conv('down', 6, 8)],
  };
}

describe('other blocks', () => {
  const block = bottleneck();
  const weights = randomised(
    new Map(blockParameters(block, 'stored').map(({ name, shape }) => [name, tensor(shape)])),
    'bottleneck',
  );

  it('sorts both hidden widths of a bottleneck, last first, and keeps what it computes', () => {
    expect(hiddenChannels(block).map(({ consumer, channels }) => [consumer, channels])).toEqual([
      ['conv3', 10],
      ['conv2', 12],
    ]);
    const orders = blockOrders(
      block,
      (name) => weights.get(name)!,
      (consumer) => (consumer === 'conv3' ? [10, 5] : [12, 6]),
      0,
    );
    const sorted = reorderChannels(weights, orders);
    const x = randomFeature(6, 4);
    expectSame(
      naiveForward(block, x, (name) => weights.get(name)!),
      naiveForward(block, x, (name) => sorted.get(name)!),
    );
    for (const name of ['conv2.weight', 'conv3.weight', 'se.expand.weight']) {
      const norms = channelNorms(sorted.get(name)!, 1);
      expect(norms, name).toEqual([...norms].sort((a, b) => b - a));
    }
  });

  it('leaves alone what the block input reaches channel by channel, and what grouped convolutions mix', () => {
    const layers = block.layers.slice(1);
    expect(hiddenChannels({ ...block, layers }).map(({ consumer }) => consumer)).toEqual(['conv3']);
    const grouped = block.layers.map((layer) => (layer.name === 'conv2' ? { ...layer, groups: 2 } : layer));
    expect(hiddenChannels({ ...block, layers: grouped })).toEqual([]);
  });
});
