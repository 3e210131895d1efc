/** Networks as graphs against loops in float64 (test/support/naiveNetwork.ts). */
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import type { Graph } from '../../src/graph/graph.js';
import {
  backwardGraph,
  dropoutMasks,
  forwardGraph,
  inferenceGraph,
  segmentName,
  type Mode,
} from '../../src/graph/network.js';
import type { BlockSpec, Network } from '../../src/space/network.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { subnetTensors } from '../../src/supernet/slicing.js';
import { extractSubnet, staticNetwork } from '../../src/supernet/subnet.js';
import { createRandom } from '../../src/util/random.js';
import { batchOf, naiveBlock, naiveNetwork } from '../support/naiveNetwork.js';
import { disturbedWeights, randomTensor } from '../support/supernets.js';
import { tinySpace } from '../training/support/runs.js';
import '../support/matchers.js';

const EXACT = { relative: 1e-10, absolute: 1e-12 };
const BATCH = 3;
const space = tinySpace();
const weights = disturbedWeights(space, 'network');
const deepest: Network = space.network({ imageSize: 8, ks: [3, 5], e: [2, 1], d: [2] });
const named = (name: string): BlockSpec => deepest.blocks.find((block) => block.name === name)!;

/** Inputs of `forwardGraph` for one block, whatever the graph declares. */
function inputsOf(graph: Graph, block: BlockSpec, x: Float32Array): Map<string, Float32Array> {
  const tensors = subnetTensors(weights, block);
  const given = new Map([['x', x]]);
  for (const [name, { shape }] of graph.inputs) {
    if (name === 'x') continue;
    const own = tensors.get(name.slice(2));
    given.set(name, own?.data ?? randomTensor(shape, 'mask', name).data);
  }
  return given;
}

describe.each(deepest.blocks.map((block) => ({ name: block.name, block })))('block $name', ({ block }) => {
  const { channels, height, width } = block.input;
  const x = randomTensor([BATCH, channels, height, width], 'x', block.name);

  it.each(['training', 'calibration'] as const)('forward in %s mode, with batch statistics', (mode: Mode) => {
    const graph = forwardGraph([block], BATCH, mode);
    const inputs = inputsOf(graph, block, x.data);
    const masks = new Map(
      [...inputs].filter(([n]) => n.endsWith('.mask')).map(([n, v]) => [`${block.name}.${n.slice(2)}`, v]),
    );
    expect(masks.size).toBe(mode === 'training' && block.name === 'classifier' ? 1 : 0);
    const expected = naiveBlock(block, batchOf(x), weights, { training: true, masks });
    const results = evaluate(graph, inputs);
    expect(results.get('y')!.data).toBeAllclose(expected.y.data, EXACT);
    const statistics = new Map([...results].filter(([n]) => n !== 'y'));
    expect(statistics.size).toBe(expected.statistics.size);
    for (const [name, { data }] of statistics) {
      expect(data).toBeAllclose(expected.statistics.get(`${block.name}.${name.slice(2)}`)!, EXACT);
    }
  });

  it('forward in inference mode', () => {
    const graph = forwardGraph([block], BATCH, 'inference');
    const expected = naiveBlock(block, batchOf(x), weights, { training: false });
    const results = evaluate(graph, inputsOf(graph, block, x.data));
    expect([...results.keys()]).toEqual(['y']);
    expect(results.get('y')!.data).toBeAllclose(expected.y.data, EXACT);
  });
});

it('the oracle notices kernel transforms, so agreement with it means something', () => {
  const block = named('stage0.block0');
  const x = batchOf(randomTensor([BATCH, 8, 4, 4], 'sensitive'));
  const plain = new Map(weights);
  const name = 'stage0.block0.depthwise.transform7to5';
  plain.set(name, {
    shape: [25, 25],
    data: Float32Array.from({ length: 625 }, (_, i) => Number(i % 26 === 0)),
  });
  const [a, b] = [weights, plain].map((w) => naiveBlock(block, x, w, { training: true }).y.data);
  expect(Math.max(...a!.map((v, i) => Math.abs(v - b![i]!)))).toBeGreaterThan(0.01);
});

describe('whole networks in inference mode', () => {
  it.each([0, 1, 2, 3])('extracted subnet %i equals the slices of the supernet', (i) => {
    const arch = { ...sampleArchitecture(space.genes, createRandom('inference', i)), imageSize: 8 };
    const network = space.network(arch);
    const images = randomTensor([BATCH, 1, 8, 8], 'images', i);
    const graph = inferenceGraph(staticNetwork(network).blocks, extractSubnet(weights, network), BATCH);
    const { logits } = Object.fromEntries(evaluate(graph, new Map([['input', images.data]])));
    const expected = naiveNetwork(network, images, weights, { training: false }).y;
    // Extraction rounds transformed kernels to float32.
    expect(logits!.data).toBeAllclose(expected.data, { relative: 1e-6 });
  });

  it('names the tensor that is missing', () => {
    const tensors = extractSubnet(weights, deepest);
    tensors.delete('stage0.block1.projectNorm.runningMean');
    expect(() => inferenceGraph(staticNetwork(deepest).blocks, tensors, 1)).toThrow(
      /"stage0\.block1\.projectNorm\.runningMean" is missing/,
    );
  });
});

describe('segments of several blocks', () => {
  it('compute what their blocks do one after the other', () => {
    const blocks = [named('stage0.block0'), named('stage0.block1')];
    const graph = forwardGraph(blocks, BATCH, 'training');
    const x = randomTensor([BATCH, 8, 4, 4], 'segment');
    const inputs = new Map([['x', x.data]]);
    blocks.forEach((block, i) => {
      for (const [name, { data }] of subnetTensors(weights, block)) inputs.set(segmentName(i, name), data);
    });
    const first = naiveBlock(blocks[0]!, batchOf(x), weights, { training: true });
    const second = naiveBlock(blocks[1]!, first.y, weights, { training: true });
    expect(evaluate(graph, inputs).get('y')!.data).toBeAllclose(second.y.data, EXACT);
  });

  it('name their nodes after block and layer', () => {
    const { nodes } = forwardGraph([named('stage0.block1')], 1, 'inference');
    expect(nodes.map(({ name }) => name)).toContain('stage0.block1/depthwise/conv2d');
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length);
  });

  it('have a gradient for every parameter and, where it is wanted, the input', () => {
    const block = named('stage0.block0');
    const { outputs, inputs } = backwardGraph([block], BATCH, { loss: false, inputGradient: true });
    const wanted = [...inputs.keys()].filter((name) => name !== 'dy').map((name) => `gradient:${name}`);
    expect([...outputs.keys()].sort()).toEqual(wanted.sort());
    expect([...outputs.keys()]).toContain('gradient:0.depthwise.transform5to3');
    const first = backwardGraph([block], BATCH, { loss: false, inputGradient: false });
    expect(first.outputs.has('gradient:x')).toBe(false);
  });
});

it('dropout masks have the features of the layer that reads them', () => {
  expect(dropoutMasks(named('classifier'))).toEqual([{ name: 'dropout.mask', features: 16, rate: 0.1 }]);
  expect(dropoutMasks(tinySpace({ dropout: 0 }).network(space.smallest).blocks.at(-1)!)).toEqual([]);
});
