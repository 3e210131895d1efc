/**
 * npm run bench:block -- [--json] [--python /usr/bin/python3] [--threads 2] [--repeat 7]
 *
 * Forward and backward pass of one inverted residual block (batch 64, 24 -> 96 -> 24 channels, 32x32, hard-swish) with
 * kernels 3, 5 and 7, beside PyTorch's in one run, taking turns. Without PyTorch: ours alone.
 */
import { parseArgs } from 'node:util';
import { backwardGraph } from '../../src/graph/network.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { createSpace } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../src/util/tensor.js';
import { describeMachine, geometricMean, median } from './support/machine.js';
import { startTorchPeer } from './support/torchPeer.js';

const BATCH = 64;
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    python: { type: 'string', default: '/usr/bin/python3' },
    threads: { type: 'string', default: '2' },
    repeat: { type: 'string', default: '7' },
  },
});
const [threads, repeat] = [values.threads, values.repeat].map(Number) as [number, number];

/** A space whose stage0.block0 is the block. */
const spaceOf = (kernel: number) =>
  createSpace({
    format: 'ofakit.space/1',
    name: 'block',
    description: 'One inverted residual block',
    family: 'mbconv',
    inputChannels: 3,
    imageSizes: [32],
    classes: 10,
    width: 1,
    dropout: 0,
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    network: {
      stem: { width: 24, kernel: 3, stride: 1, activation: 'h_swish' },
      stages: [
        {
          width: 24,
          stride: 1,
          activation: 'h_swish',
          squeezeExcite: false,
          depth: [1],
          kernel: [kernel],
          expand: [4],
        },
      ],
      head: { expand: 32, mix: 24, activation: 'h_swish' },
      kernelTransform: false,
    },
  });

const machine = describeMachine();
const runtime = await createRuntime({ threads });
const peer = await startTorchPeer(values.python, { batch: BATCH, size: 32, classes: 10, threads, repeat });
const random = createRandom(0, 'bench');
const normal = (shape: readonly number[]): Tensor =>
  tensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );

const rows = [];
for (const kernel of [3, 5, 7]) {
  const space = spaceOf(kernel);
  const block = space.network(space.largest).blocks.find(({ name }) => name === 'stage0.block0')!;
  const graph = backwardGraph([block], BATCH, { loss: false, inputGradient: true });
  const program = await runtime.training.compile(graph, { keepMemory: true });
  const inputs = Object.fromEntries([...graph.inputs].map(([name, { shape }]) => [name, normal(shape)]));
  const times: number[] = [];
  for (let i = 0; i < repeat + 2; i++) {
    const begin = performance.now();
    await program.run(inputs);
    if (i >= 2) times.push(performance.now() - begin);
  }
  await program.dispose();
  const oursMs = median(times);
  const torchMs = peer && {
    contiguous: await peer.measure({ work: 'block', format: 'contiguous_format', k: kernel }),
    channelsLast: await peer.measure({ work: 'block', format: 'channels_last', k: kernel }),
  };
  const best = torchMs && Math.min(torchMs.contiguous, torchMs.channelsLast);
  rows.push({ kernel, oursMs, torchMs, ratio: best && best / oursMs });
}
peer?.close();
await runtime.dispose();
const ratios = rows.map(({ ratio }) => ratio).filter((r) => r !== undefined);
const report = {
  work: 'block',
  machine,
  engine: runtime.training.name,
  batch: BATCH,
  threads,
  torch: peer?.version ?? null,
  geomeanRatio: ratios.length > 0 ? geometricMean(ratios) : null,
  loadAfter: describeMachine().load,
  rows,
};
if (values.json) console.log(JSON.stringify(report, null, 2));
else {
  for (const { kernel, oursMs, torchMs, ratio } of rows) {
    const theirs = torchMs
      ? `PyTorch ${torchMs.contiguous.toFixed(0)} / ${torchMs.channelsLast.toFixed(0)} ms (NCHW / channels_last); speed ratio ${ratio!.toFixed(2)}`
      : 'without PyTorch';
    console.log(`kernel ${kernel} ours ${oursMs.toFixed(0)} ms; ${theirs}`);
  }
  console.log(`${report.engine} on ${machine.cpu}, load ${machine.load}`);
}
