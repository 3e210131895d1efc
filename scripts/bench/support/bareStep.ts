/** A training step and nothing else: slicing, forward, backward, gradients put back, update, on one batch that stays. */
import type { Runtime } from '../../../src/pipeline/runtime.js';
import type { Network } from '../../../src/space/network.js';
import { isDecayed, isTrainable } from '../../../src/space/parameters.js';
import type { SearchSpace } from '../../../src/space/space.js';
import { SubnetChoices } from '../../../src/supernet/choices.js';
import { initialiseWeights, storedParameters, zeroTensors } from '../../../src/supernet/weights.js';
import { wholeStepBytes } from '../../../src/training/memory.js';
import { Sgd } from '../../../src/training/optimizer.js';
import { labelTargets, mixTargets, softLabels } from '../../../src/training/targets.js';
import { createRandom } from '../../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../../src/util/tensor.js';

export interface BareStep {
  /** Numbers that the update moves. */
  readonly updated: number;
  /** Milliseconds of one step. */
  run(network: Network): Promise<number>;
}

/** Steps of the space's subnets at one image size, all in the program of choices. */
export function createBareStep(
  space: SearchSpace,
  { executor }: Runtime,
  { batch, size }: { readonly batch: number; readonly size: number },
): BareStep {
  const { classes, inputChannels } = space.parameters;
  const random = createRandom(0, 'bench');
  const normal = (shape: readonly number[]): Tensor =>
    tensor(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
    );
  const images = normal([batch, inputChannels, size, size]);
  const labels = Int32Array.from({ length: batch }, () => random.int(classes));
  const targets = mixTargets(1, labelTargets(labels, classes, 0.1), 1, softLabels(normal([batch, classes])));
  const parameters = storedParameters(space).filter(({ role }) => isTrainable(role));
  const decayed = new Set(parameters.filter(({ role }) => isDecayed(role)).map(({ name }) => name));
  const optimizer = new Sgd(initialiseWeights(space, 0), zeroTensors(parameters), decayed);
  const largest = space.network({ ...space.largest, imageSize: size });
  const partition = SubnetChoices.of(space, space.genes, size, wholeStepBytes(largest, batch));
  return {
    updated: parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
    run: async (network) => {
      const start = performance.now();
      await executor.step(optimizer.weights, network, images, targets, optimizer, { partition, random });
      optimizer.step({ learningRate: 1e-4, momentum: 0.9, weightDecay: 3e-5 });
      return performance.now() - start;
    },
  };
}
