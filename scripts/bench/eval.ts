/**
 * npm run bench:eval -- [--json] [--python /usr/bin/python3] [--batch 100] [--size 64] [--threads 2] [--repeat 7] [--only largest]
 *
 * Forward in inference mode of ten subnets of the OFA MobileNetV3 space, width 1.0, as `ofa eval` and `ofa accuracy sample`
 * run them (batch norm folded, constant weights), beside PyTorch's in one run, taking turns. Compiling the subnet is
 * reported apart: it is paid once for all images. Without PyTorch: ours alone.
 */
import { parseArgs } from 'node:util';
import { inferenceGraph } from '../../src/graph/network.js';
import { foldBatchNorm } from '../../src/lowering/passes/foldBatchNorm.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { loadSpace } from '../../src/space/presets.js';
import { extractSubnet, staticNetwork } from '../../src/supernet/subnet.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { createRandom } from '../../src/util/random.js';
import { sizeOf, tensor } from '../../src/util/tensor.js';
import { describeMachine, geometricMean, median } from './support/machine.js';
import { peerSubnets } from './support/peerSubnets.js';
import { startTorchPeer } from './support/torchPeer.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    python: { type: 'string', default: '/usr/bin/python3' },
    batch: { type: 'string', default: '100' },
    size: { type: 'string', default: '64' },
    classes: { type: 'string', default: '100' },
    threads: { type: 'string', default: '2' },
    repeat: { type: 'string', default: '7' },
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
// The peer's batch is 100, whatever it is told.
const withPeer = batch === 100;

const machine = describeMachine();
const space = await loadSpace('ofa-mbv3', { classes, imageSizes: [size] });
const runtime = await createRuntime({ threads });
const peer = withPeer
  ? await startTorchPeer(values.python, { batch, size, classes, threads, repeat })
  : undefined;
const random = createRandom(0, 'bench');
const shape = [batch, space.parameters.inputChannels, size, size];
const input = tensor(
  shape,
  Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
);
const weights = initialiseWeights(space, 0);

const rows = [];
for (const { name, architecture } of peerSubnets(size).filter(
  (subnet) => values.only === undefined || subnet.name === values.only,
)) {
  const network = space.network(architecture);
  const start = performance.now();
  const tensors = extractSubnet(weights, network);
  const program = await runtime.inference.compile(
    foldBatchNorm(inferenceGraph(staticNetwork(network).blocks, tensors, batch)),
    { keepMemory: true },
  );
  const compileMs = performance.now() - start;
  await program.run({ input });
  await program.run({ input });
  const times: number[] = [];
  for (let i = 0; i < repeat; i++) {
    const begin = performance.now();
    await program.run({ input });
    times.push(performance.now() - begin);
  }
  await program.dispose();
  const oursMs = median(times);
  const torchMs = peer && {
    contiguous: await peer.measure({ work: 'eval', format: 'contiguous_format', subnet: name }),
    channelsLast: await peer.measure({ work: 'eval', format: 'channels_last', subnet: name }),
  };
  const best = torchMs && Math.min(torchMs.contiguous, torchMs.channelsLast);
  rows.push({ subnet: name, oursMs, compileMs, torchMs, ratio: best && best / oursMs });
  if (!values.json) {
    const theirs = torchMs
      ? `PyTorch ${torchMs.contiguous.toFixed(0)} / ${torchMs.channelsLast.toFixed(0)} ms (NCHW / channels_last)`
      : 'without PyTorch';
    console.log(
      `${name.padEnd(9)} ours ${oursMs.toFixed(1)} ms, compiled in ${compileMs.toFixed(0)} ms; ${theirs}${best ? `; speed ratio ${(best / oursMs).toFixed(2)}` : ''}`,
    );
  }
}
peer?.close();
await runtime.dispose();
const ratios = rows.map(({ ratio }) => ratio).filter((r) => r !== undefined);
const report = {
  work: 'eval',
  machine,
  engine: runtime.inference.name,
  batch,
  size,
  classes,
  threads,
  torch: peer?.version ?? null,
  geomeanRatio: ratios.length > 0 ? geometricMean(ratios) : null,
  loadAfter: describeMachine().load,
  rows,
};
console.log(
  values.json
    ? JSON.stringify(report, null, 2)
    : `${report.engine} on ${machine.cpu}, load ${machine.load}: geometric mean of speed ratios ${report.geomeanRatio?.toFixed(3) ?? '-'}`,
);
