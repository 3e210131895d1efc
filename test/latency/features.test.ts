import { expect, it } from 'vitest';
import { forwardGraph } from '../../src/graph/network.js';
import type { ConvAttributes } from '../../src/graph/operations/conv.js';
import { networkFeatures } from '../../src/latency/features.js';
import type { Network } from '../../src/space/network.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf } from '../../src/util/tensor.js';
import { shippedSpace } from '../support/spaces.js';

/** The same, counted from the graph that runs instead of from the description. */
function countedInGraph({ blocks }: Network): Record<'activations' | 'denseMacs' | 'depthwiseMacs', number> {
  const total = { activations: 0, denseMacs: 0, depthwiseMacs: 0 };
  for (const { operation, attributes, inputs, outputs } of forwardGraph(blocks, 1, 'inference').nodes) {
    if (operation.name !== 'conv2d') continue;
    const { groups } = attributes as ConvAttributes;
    const written = sizeOf(outputs[0]!.shape);
    const [, ...window] = inputs[1]!.shape;
    total.activations += written;
    total[groups > 1 ? 'depthwiseMacs' : 'denseMacs'] += written * sizeOf(window);
  }
  return total;
}

it.each(['mbv3-tiny', 'ofa-mbv3', 'ofa-proxyless', 'ofa-resnet50'])(
  'counts the convolutions of %s as its graphs have them, of blocks seen before, too',
  (name) => {
    const space = shippedSpace(name);
    const random = createRandom('features', name);
    for (let i = 0; i < 12; i++) {
      const network = space.network(sampleArchitecture(space.genes, random));
      const features = networkFeatures(network);
      expect(features).toMatchObject(countedInGraph(network));
      expect(networkFeatures(network)).toEqual(features);
    }
  },
);
