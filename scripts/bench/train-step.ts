/**
 * npm run bench:train-step -- [--json] [--python /usr/bin/python3] [--batch 32] [--size 64] [--threads 2] [--repeat 5] [--only largest]
 *
 * One training step (forward, backward, update) of ten subnets of the OFA MobileNetV3 space, width 1.0, beside PyTorch's
 * in one run, taking turns. Ours includes slicing the weights and scattering the gradients into the full supernet; the
 * update is the same for all subnets, as the supernet's weights are all updated. Without PyTorch: ours alone.
 */
import { parseArgs } from 'node:util';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { isDecayed, isTrainable } from '../../src/space/parameters.js';
import { loadSpace } from '../../src/space/presets.js';
import { SubnetChoices } from '../../src/supernet/choices.js';
import { initialiseWeights, storedParameters, zeroTensors } from '../../src/supernet/weights.js';
import { sgdStep } from '../../src/training/optimizer.js';
import { labelTargets, mixTargets, softLabels } from '../../src/training/targets.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { describeMachine, geometricMean, median } from './support/machine.js';
import { peerSubnets } from './support/peerSubnets.js';
import { startTorchPeer } from './support/torchPeer.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    python: { type: 'string', default: '/usr/bin/python3' },
    batch: { type: 'string', default: '32' },
    size: { type: 'string', default: '64' },
    classes: { type: 'string', default: '100' },
    threads: { type: 'string', default: '2' },
    repeat: { type: 'string', default: '5' },
    only: { type: 'string' },
  },
});
const [batch, size, classes, threads, repeat] = [
  values.batch,
  values.size,
  values.classes,
  values.threads,
  values.repeat,
].map(Number) as [number, number, number, number, number];

const machine = describeMachine();
const space = await loadSpace('ofa-mbv3', { classes, imageSizes: [size] });
const runtime = await createRuntime({ threads });
const peer = await startTorchPeer(values.python, { batch, size, classes, threads, repeat });

const random = createRandom(0, 'bench');
const normal = (shape: readonly number[]): Tensor =>
  tensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
const images = normal([batch, 3, size, size]);
const labels = Int32Array.from({ length: batch }, () => random.int(classes));
const targets = mixTargets(1, labelTargets(labels, classes, 0.1), 1, softLabels(normal([batch, classes])));
const weights = initialiseWeights(space, 0);
const parameters = storedParameters(space).filter(({ role }) => isTrainable(role));
const [gradients, velocity] = [zeroTensors(parameters), zeroTensors(parameters)];
const decayed = new Set(parameters.filter(({ role }) => isDecayed(role)).map(({ name }) => name));

const choices = SubnetChoices.of(space, space.genes, size);
const rows = [];
for (const { name, architecture } of peerSubnets(size).filter(
  ({ name }) => values.only === undefined || name === values.only,
)) {
  const network = space.network(architecture);
  const step = async (): Promise<number> => {
    const start = performance.now();
    await runtime.executor.step(weights, network, images, targets, gradients, {
      partition: choices,
      random,
    });
    sgdStep(weights, velocity, gradients, decayed, { learningRate: 1e-4, momentum: 0.9, weightDecay: 3e-5 });
    return performance.now() - start;
  };
  const firstMs = await step();
  await step();
  const times: number[] = [];
  for (let i = 0; i < repeat; i++) times.push(await step());
  const oursMs = median(times);
  const torchMs = peer && {
    contiguous: await peer.measure({ work: 'step', format: 'contiguous_format', subnet: name }),
    channelsLast: await peer.measure({ work: 'step', format: 'channels_last', subnet: name }),
  };
  const best = torchMs && Math.min(torchMs.contiguous, torchMs.channelsLast);
  rows.push({
    subnet: name,
    oursMs,
    firstMs,
    imagesPerSecond: (1000 * batch) / oursMs,
    torchMs,
    ratio: best && best / oursMs,
  });
  if (!values.json) {
    const theirs = torchMs
      ? `PyTorch ${torchMs.contiguous.toFixed(0)} / ${torchMs.channelsLast.toFixed(0)} ms (NCHW / channels_last)`
      : 'PyTorch not found';
    console.log(
      `${name.padEnd(9)} ours ${oursMs.toFixed(0)} ms, ${((1000 * batch) / oursMs).toFixed(0)} images/s; ${theirs}${best ? `; speed ratio ${(best / oursMs).toFixed(2)}` : ''}`,
    );
  }
}
peer?.close();
await runtime.dispose();
const ratios = rows.map(({ ratio }) => ratio).filter((r) => r !== undefined);
const geomeanRatio = ratios.length > 0 ? geometricMean(ratios) : null;
const engine = runtime.training.name;
const report = {
  work: 'train-step',
  machine,
  engine,
  batch,
  size,
  classes,
  threads,
  torch: peer?.version ?? null,
  geomeanRatio,
  loadAfter: describeMachine().load,
  rows,
};
console.log(
  values.json
    ? JSON.stringify(report, null, 2)
    : `${engine} on ${machine.cpu}, load ${machine.load}: geometric mean of speed ratios ${geomeanRatio?.toFixed(3) ?? '-'}`,
);
