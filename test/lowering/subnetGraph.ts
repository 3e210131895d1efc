/** A small network with every kind of layer, random weights inside. */
import type { Graph } from '../../src/graph/graph.js';
import { inferenceGraph } from '../../src/graph/network.js';
import { extractSubnet, staticNetwork } from '../../src/supernet/subnet.js';
import { randomSupernet } from '../export/spaces.js';
import { smallSpace } from '../support/spaces.js';

export function subnetGraph(): Graph {
  const space = smallSpace();
  const network = space.network(space.smallest);
  const tensors = extractSubnet(randomSupernet(space, 'reading'), network);
  return inferenceGraph(staticNetwork(network).blocks, tensors, 2);
}
