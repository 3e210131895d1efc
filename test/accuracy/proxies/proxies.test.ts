/**
 * Each proxy against its definition, computed directly: forward passes in float64, loop by loop, and derivatives as
 * differences of them. Nothing is shared with the graphs.
 */
import { EigenvalueDecomposition, Matrix, determinant } from 'ml-matrix';
import { afterAll, describe, expect, it } from 'vitest';
import { grasp } from '../../../src/accuracy/proxies/grasp.js';
import { zeroCostProxies } from '../../../src/accuracy/proxies/index.js';
import { jacobianCovariance } from '../../../src/accuracy/proxies/jacobianCovariance.js';
import { naswot } from '../../../src/accuracy/proxies/naswot.js';
import { BlockPasses } from '../../../src/accuracy/proxies/passes.js';
import { plainBlocks, weightNames, type ProxyInput } from '../../../src/accuracy/proxies/proxy.js';
import { snip } from '../../../src/accuracy/proxies/snip.js';
import { synflow } from '../../../src/accuracy/proxies/synflow.js';
import { createOnnxRuntimeEngine } from '../../../src/engine/onnxruntime/engine.js';
import { ProgramCache } from '../../../src/engine/programCache.js';
import type { BlockSpec, LayerSpec, Network } from '../../../src/space/network.js';
import { staticNetwork } from '../../../src/space/only.js';
import { createSpace, type SearchSpace } from '../../../src/space/space.js';
import { initialiseNetwork } from '../../../src/supernet/weights.js';
import { labelTargets } from '../../../src/training/targets.js';
import { tensor, type Tensor } from '../../../src/util/tensor.js';
import { batchOf, naiveBlock, naiveLoss, naiveNetwork, type Batch64 } from '../../support/naiveNetwork.js';
import { tinyResnet } from '../../support/spaces.js';
import { randomTensor } from '../../support/supernets.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
const programs = new ProgramCache(engine);
const passes = new BlockPasses(programs);
afterAll(async () => {
  await programs.dispose();
  await engine.dispose();
});

/** A few hundred weights: every derivative is a pair of forward passes. */
function smallest(activation: 'relu' | 'relu6' | 'h_swish'): SearchSpace {
  return createSpace({
    format: 'ofakit.space/1',
    name: 'few-weights',
    description: 'for tests',
    family: 'mbconv',
    inputChannels: 1,
    imageSizes: [6],
    classes: 3,
    width: 1,
    dropout: 0.2,
    batchNorm: { epsilon: 1e-3, momentum: 0.1 },
    network: {
      stem: { width: 8, kernel: 3, stride: 1, activation },
      stages: [
        {
          width: 8,
          stride: 1,
          activation,
          squeezeExcite: true,
          depth: [1],
          kernel: [3, 5],
          expand: [1],
        },
      ],
      head: { expand: 8, activation },
      kernelTransform: true,
    },
  });
}

/** A residual block with a convolution in its shortcut, after a max pool; few channels, as in no family. */
function residual(): Network {
  const conv = (name: string, from: number, to: number, kernel: number, stride = 1): LayerSpec[] => [
    {
      kind: 'conv',
      name,
      inChannels: from,
      outChannels: to,
      kernel,
      stride,
      groups: 1,
      bias: false,
      kernelChoices: [kernel],
      kernelTransform: false,
    },
    { kind: 'batchNorm', name: `${name}Norm`, channels: to, epsilon: 1e-3, momentum: 0.1 },
  ];
  const relu = (name: string): LayerSpec => ({ kind: 'activation', name, activation: 'relu' });
  const image = (channels: number, size: number) => ({ channels, height: size, width: size });
  return {
    input: image(1, 9),
    classes: 3,
    blocks: [
      {
        name: 'stem',
        key: 'stem',
        input: image(1, 9),
        output: image(3, 5),
        layers: [
          ...conv('conv', 1, 3, 3),
          relu('act'),
          { kind: 'maxPool', name: 'pool', kernel: 3, stride: 2, padding: 1 },
        ],
        shortcut: 'none',
      },
      {
        name: 'block',
        key: 'block',
        input: image(3, 5),
        output: image(4, 3),
        layers: [...conv('first', 3, 3, 3, 2), relu('act'), ...conv('second', 3, 4, 1)],
        shortcut: conv('shortcut', 3, 4, 1, 2),
        activationAfter: 'relu',
      },
      {
        name: 'head',
        key: 'head',
        input: image(4, 3),
        output: image(3, 1),
        layers: [
          { kind: 'globalPool', name: 'pool' },
          { kind: 'dropout', name: 'dropout', rate: 0.1 },
          { kind: 'linear', name: 'classifier', inFeatures: 4, outFeatures: 3, bias: true },
        ],
        shortcut: 'none',
      },
    ],
  };
}

const smallestOf = (space: SearchSpace): Network => staticNetwork(space.network(space.smallest));

function inputOf(
  network: Network,
  seed: string,
  { batch = 5 } = {},
): ProxyInput & { readonly network: Network } {
  const tensors = initialiseNetwork(network, seed);
  // Biases and batch norm away from 0 and 1, so that leaving them out, or not, shows.
  for (const [name, { data }] of tensors) {
    const noise = randomTensor([data.length], seed, 'noise', name).data;
    for (let i = 0; i < data.length; i++) data[i]! += 0.1 * noise[i]!;
  }
  const { channels, height } = network.input;
  return {
    network,
    blocks: plainBlocks(network),
    tensors,
    images: randomTensor([batch, channels, height, height], seed, 'images'),
    labels: Int32Array.from({ length: batch }, (_, i) => i % network.classes),
    passes,
  };
}

type Weights64 = Map<string, { readonly shape: readonly number[]; readonly data: Float64Array }>;

const in64 = (tensors: ReadonlyMap<string, Tensor>): Weights64 =>
  new Map([...tensors].map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]));

/** d f / d values[i], for all i, by central differences. */
function differences(values: Float64Array, f: () => number, step = 1e-5): Float64Array {
  return values.map((value, i) => {
    values[i] = value + step;
    const above = f();
    values[i] = value - step;
    const below = f();
    values[i] = value;
    return (above - below) / (2 * step);
  });
}

const cases = [
  ['MobileNetV3 blocks', smallestOf(smallest('h_swish'))],
  ['ReLU6 blocks', smallestOf(smallest('relu6'))],
  ['a residual block', residual()],
] as const;

describe.each(cases)('on %s', (name, network) => {
  const given = inputOf(network, name);
  const { tensors, images, labels } = given;
  const targets = labelTargets(labels, network.classes, 0);
  const names = weightNames(given.blocks);

  const lossOf =
    (weights: Weights64): (() => number) =>
    () =>
      naiveLoss(naiveNetwork(network, images, weights, { training: true }).y, targets);

  it('snip is the sum of |w dL/dw|', async () => {
    const weights = in64(tensors);
    const loss = lossOf(weights);
    let wanted = 0;
    for (const weight of names) {
      const { data } = weights.get(weight)!;
      differences(data, loss).forEach((g, i) => (wanted += Math.abs(g * data[i]!)));
    }
    expect(await snip.score(given)).toBeCloseTo(wanted, 3);
  });

  it('grasp is -w H g, from values of the loss alone', async () => {
    // Of several networks those count where no rectifier changes sides between the points that are compared.
    let compared = 0;
    for (const seed of ['p', 'q', 'r']) {
      const input = inputOf(network, `${name} ${seed}`);
      const weights = in64(input.tensors);
      const loss = (of: Weights64): number =>
        naiveLoss(naiveNetwork(network, input.images, of, { training: true }).y, targets);
      const gradient = new Map(
        names.map((weight) => [weight, differences(weights.get(weight)!.data, () => loss(weights), 1e-6)]),
      );
      const moved = (a: number, b: number): Weights64 =>
        new Map(
          [...weights].map(([key, { shape, data }]) => {
            const g = gradient.get(key);
            return [key, { shape, data: g === undefined ? data : data.map((w, i) => w + a * w + b * g[i]!) }];
          }),
        );
      const size = (of: (weight: string) => Float64Array): number =>
        Math.sqrt(names.reduce((sum, weight) => sum + of(weight).reduce((s, v) => s + v * v, 0), 0));
      const h = 1e-5;
      const k = (h * size((weight) => weights.get(weight)!.data)) / size((weight) => gradient.get(weight)!);
      const corners = [moved(h, k), moved(h, -k), moved(-h, k), moved(-h, -k)] as const;
      const codes = (of: Weights64): string => JSON.stringify(rectifierCodes(network, input.images, of));
      if (!corners.every((corner) => codes(corner) === codes(weights))) continue;
      // w (H g) is the mixed second derivative of L(w + a w + b g).
      const [pp, pm, mp, mm] = corners.map(loss) as [number, number, number, number];
      const wanted = -(pp - pm - mp + mm) / (4 * h * k);
      const found = await grasp.score(input);
      expect(Math.abs(found - wanted)).toBeLessThan(1e-3 * Math.abs(wanted) + 1e-6);
      compared++;
    }
    expect(compared).toBeGreaterThan(0);
  });

  it('jacob_cov is the score of the correlations of the input gradients', async () => {
    const pixels = batchOf(images);
    const logits = (): number =>
      network.blocks
        .reduce((x, block) => naiveBlock(block, x, tensors, { training: true }).y, pixels)
        .data.reduce((a, b) => a + b, 0);
    const jacobian = differences(pixels.data, logits);
    const rows = images.shape[0]!;
    const width = jacobian.length / rows;
    const row = (i: number): Float64Array => jacobian.subarray(i * width, (i + 1) * width);
    const mean = (v: Float64Array): number => v.reduce((a, b) => a + b, 0) / v.length;
    const covariance = (a: Float64Array, b: Float64Array): number =>
      mean(a.map((v, i) => (v - mean(a)) * (b[i]! - mean(b))));
    const matrix = Matrix.zeros(rows, rows);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < rows; j++) {
        const [a, b] = [row(i), row(j)];
        matrix.set(i, j, covariance(a, b) / Math.sqrt(covariance(a, a) * covariance(b, b)));
      }
    const { realEigenvalues: values } = new EigenvalueDecomposition(matrix);
    const wanted = -values.reduce((sum, v) => sum + Math.log(v + 1e-5) + 1 / (v + 1e-5), 0);
    const found = await jacobianCovariance.score(given);
    expect(Math.abs(found - wanted)).toBeLessThan(2e-2 * Math.abs(wanted));
  });

  it('naswot is log |det K| of the agreeing signs before the rectifiers', async () => {
    const codes = rectifierCodes(network, images, tensors);
    const rows = images.shape[0]!;
    const K = Matrix.zeros(rows, rows);
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < rows; j++)
        K.set(i, j, codes[i]!.filter((positive, p) => positive === codes[j]![p]).length);
    expect(await naswot.score(given)).toBeCloseTo(Math.log(Math.abs(determinant(K))), 6);
  });

  it('synflow is the logarithm of the sum of w dR/dw of the linear network of absolute weights', async () => {
    const weights = in64(
      new Map([...tensors].map(([key, t]) => [key, tensor(t.shape, t.data.map(Math.abs))])),
    );
    const ones = tensor([1, ...images.shape.slice(1)]);
    ones.data.fill(1);
    const flow = (): number =>
      network.blocks
        .map(withoutNonlinearity)
        .reduce((x, block) => naiveBlock(block, x, weights, { training: false }).y, batchOf(ones))
        .data.reduce((a, b) => a + b, 0);
    let wanted = 0;
    for (const weight of names) {
      const { data } = weights.get(weight)!;
      differences(data, flow, 1e-4).forEach((g, i) => (wanted += g * data[i]!));
    }
    expect(await synflow.score(given)).toBeCloseTo(Math.log(wanted), 4);
  });
});

/** The definition's network: products and sums of weights, and maxima; no shifts. */
function withoutNonlinearity({ activationAfter: _, ...block }: BlockSpec): BlockSpec {
  const linear = (layers: readonly LayerSpec[]): LayerSpec[] =>
    layers.flatMap((layer): LayerSpec[] => {
      switch (layer.kind) {
        case 'conv':
        case 'linear':
          return [{ ...layer, bias: false }];
        case 'maxPool':
        case 'averagePool':
        case 'globalPool':
          return [layer];
        default:
          return [];
      }
    });
  return {
    ...block,
    layers: linear(block.layers),
    shortcut: typeof block.shortcut === 'string' ? block.shortcut : linear(block.shortcut),
  };
}

/** For every image, whether the input of each rectifier is positive, in order. */
function rectifierCodes(
  network: Network,
  images: Tensor,
  tensors: Parameters<typeof naiveNetwork>[2],
): boolean[][] {
  const codes: boolean[][] = Array.from({ length: images.shape[0]! }, () => []);
  const note = ({ n, data }: Batch64): void =>
    data.forEach((v, i) => codes[Math.floor(i / (data.length / n))]!.push(v > 0));
  const step = (block: BlockSpec, x: Batch64, layers: readonly LayerSpec[]): Batch64 =>
    naiveBlock(
      { name: block.name, key: '', input: block.input, output: block.output, layers, shortcut: 'none' },
      x,
      tensors,
      { training: true },
    ).y;
  const run = (block: BlockSpec, x: Batch64, layers: readonly LayerSpec[]): Batch64 =>
    layers.reduce((value, layer) => {
      if (layer.kind === 'activation') note(value);
      if (layer.kind === 'squeezeExcite') {
        // Its first dense layer, by itself.
        const pooled = step(block, value, [{ kind: 'globalPool', name: 'pool' }]);
        note(
          step(block, pooled, [
            {
              kind: 'linear',
              name: `${layer.name}.reduce`,
              inFeatures: layer.channels,
              outFeatures: layer.midChannels,
              bias: true,
            },
          ]),
        );
      }
      return step(block, value, [layer]);
    }, x);
  let x = batchOf(images);
  for (const block of network.blocks) {
    let y = run(block, x, block.layers);
    if (block.shortcut !== 'none') {
      const side = block.shortcut === 'identity' ? x : run(block, x, block.shortcut);
      y = { ...y, data: y.data.map((v, i) => v + side.data[i]!) };
      if (block.activationAfter !== undefined) {
        note(y);
        y = step({ ...block }, y, [{ kind: 'activation', name: 'after', activation: block.activationAfter }]);
      }
    }
    x = y;
  }
  return codes;
}

describe.each([...zeroCostProxies.values()].map((p) => [p.name, p] as const))('proxy %s', (name, proxy) => {
  it('is a finite number, the same for the same network, and another for another', async () => {
    const space = tinyResnet({ imageSizes: [10] });
    const score = (network: Network): Promise<number> => proxy.score(inputOf(staticNetwork(network), 'a'));
    const [once, again] = [
      await score(space.network(space.smallest)),
      await score(space.network(space.smallest)),
    ];
    expect(Number.isFinite(once)).toBe(true);
    expect(again).toBe(once);
    expect(await score(space.network(space.largest))).not.toBe(once);
    expect(proxy.name).toBe(name);
    expect(proxy.description.length).toBeGreaterThan(0);
  });

  it('leaves the tensors as they were', async () => {
    const input = inputOf(residual(), 'b');
    const before = [...input.tensors].map(([key, { data }]) => [key, [...data]]);
    await proxy.score(input);
    expect([...input.tensors].map(([key, { data }]) => [key, [...data]])).toEqual(before);
  });
});

it('identical images have no naswot and no jacob_cov that could be compared', async () => {
  const input = inputOf(residual(), 'c', { batch: 4 });
  const pixels = input.images.data.length / 4;
  for (let i = 1; i < 4; i++) input.images.data.copyWithin(i * pixels, 0, pixels);
  expect(await naswot.score(input)).toBe(Number.NEGATIVE_INFINITY);
  expect(await jacobianCovariance.score(input)).toBeLessThan(-1e5);
});

it('synflow keeps its scale where float32 overflows', async () => {
  const input = inputOf(residual(), 'd');
  // Every path runs through the stem, one of the two ways of the block, and the classifier.
  const scaled = new Map(
    [...input.tensors].map(([key, t]) => {
      const factor = key.startsWith('stem') || key.startsWith('head') ? 2 ** 100 : 1;
      return [
        key,
        tensor(
          t.shape,
          t.data.map((v) => v * factor),
        ),
      ];
    }),
  );
  const [plain, large] = [await synflow.score(input), await synflow.score({ ...input, tensors: scaled })];
  expect(large - plain).toBeCloseTo(200 * Math.LN2, 4);
});
