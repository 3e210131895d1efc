/** Subnets cut out of the supernet as networks of their own. */
import { blockLayers, blockParameters, networkParameters, transformSuffix } from '../space/parameters.js';
import { kernelChain, type BlockSpec, type Network } from '../space/network.js';
import { staticBlock, staticNetwork } from '../space/only.js';
import { formatShape, sameShape, type Tensor } from '../util/tensor.js';
import { activeKernel } from './kernelTransform.js';
import { subnetTensors } from './slicing.js';

export { staticNetwork };

/** Names of the batch-norm statistics of a network, in order. */
export function statisticsOf(network: Network): string[] {
  return networkParameters(network, 'used')
    .filter(({ role }) => role === 'runningMean' || role === 'runningVariance')
    .map(({ name }) => name);
}

/**
 * The tensors of a subnet by full name, as those of `staticNetwork(network)`: kernels active (transforms applied),
 * channels sliced, memory of their own. `statistics`: recalibrated batch-norm means and variances by full name, all of
 * them (`statisticsOf`) and nothing else; without, the supernet's, which fit no subnet but the largest. Throws RangeError
 * naming a tensor that is missing, unexpected or of the wrong shape.
 */
export function extractSubnet(
  weights: ReadonlyMap<string, Tensor>,
  network: Network,
  statistics?: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> {
  const result = new Map<string, Tensor>();
  for (const block of network.blocks) {
    const tensors = subnetTensors(weights, block);
    for (const { name } of blockParameters(staticBlock(block), 'used')) {
      result.set(`${block.name}.${name}`, standalone(activeTensor(name, block, tensors)));
    }
  }
  if (statistics) replaceStatistics(result, statisticsOf(network), statistics);
  return result;
}

function standalone({ shape, data }: Tensor): Tensor {
  return { shape: [...shape], data: data.slice() };
}

function activeTensor(name: string, block: BlockSpec, tensors: ReadonlyMap<string, Tensor>): Tensor {
  const tensor = tensors.get(name)!;

  const layer = blockLayers(block).find((l) => l.kind === 'conv' && name === `${l.name}.weight`);
  if (layer?.kind !== 'conv') return tensor;
  const chain = kernelChain(layer);
  const matrices = layer.kernelTransform
    ? chain.slice(1).map((to, i) => tensors.get(`${layer.name}.${transformSuffix(chain[i]!, to)}`)!)
    : undefined;
  return activeKernel(tensor, chain, matrices);
}

function replaceStatistics(
  tensors: Map<string, Tensor>,
  names: readonly string[],
  statistics: ReadonlyMap<string, Tensor>,
): void {
  for (const name of names) {
    const given = statistics.get(name);
    const { shape } = tensors.get(name)!;
    if (given === undefined || !sameShape(given.shape, shape)) {
      const current = given === undefined ? 'it is missing' : `it is ${formatShape(given.shape)}`;
      throw new RangeError(
        `Cannot use the batch-norm statistics: "${name}" must be ${formatShape(shape)}: ${current}`,
      );
    }
    tensors.set(name, standalone(given));
  }
  const known = new Set(names);
  const unexpected = [...statistics.keys()].filter((name) => !known.has(name));
  if (unexpected.length > 0) {
    throw new RangeError(
      `Cannot use the batch-norm statistics: only those of the subnet are wanted: there is also "${unexpected.join('", "')}"`,
    );
  }
}
