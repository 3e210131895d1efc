/**
 * npm run bench:train-step -- [--json] [--python /usr/bin/python3] [--batch 32] [--size 64] [--threads 2] [--repeat 5] [--only largest]
 *
 * One training step (forward, backward, update) of ten subnets of the OFA MobileNetV3 space, width 1.0, beside PyTorch's
 * in one run, taking turns. Ours includes slicing the weights and scattering the gradients into the full supernet; the
 * update is the same for all subnets, as the supernet's weights are all updated. Without PyTorch: ours alone. Beside each
 * row: what its arithmetic and its memory traffic would take at the machine's measured peaks, which are printed too.
 */
import { parseArgs } from 'node:util';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { loadSpace } from '../../src/space/presets.js';
import { createBareStep } from './support/bareStep.js';
import { describeMachine, geometricMean, median } from './support/machine.js';
import { describePeaks, measurePeaks } from './support/peaks.js';
import { peerSubnets } from './support/peerSubnets.js';
import { startTorchPeer } from './support/torchPeer.js';
import { describeShares, sharesOf, stepWork } from './support/work.js';

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
const peaks = await measurePeaks(runtime.inference);
if (!values.json) console.log(describePeaks(peaks));
const peer = await startTorchPeer(values.python, { batch, size, classes, threads, repeat });

const bare = createBareStep(space, runtime, { batch, size });
const rows = [];
for (const { name, architecture } of peerSubnets(size).filter(
  ({ name }) => values.only === undefined || name === values.only,
)) {
  const network = space.network(architecture);
  const step = (): Promise<number> => bare.run(network);
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
  const shares = sharesOf(stepWork(network, batch, bare.updated), peaks, oursMs);
  rows.push({
    subnet: name,
    oursMs,
    firstMs,
    imagesPerSecond: (1000 * batch) / oursMs,
    torchMs,
    ratio: best && best / oursMs,
    ...shares,
  });
  if (!values.json) {
    const theirs = torchMs
      ? `PyTorch ${torchMs.contiguous.toFixed(0)} / ${torchMs.channelsLast.toFixed(0)} ms (NCHW / channels_last)`
      : 'PyTorch not found';
    console.log(
      `${name.padEnd(9)} ours ${oursMs.toFixed(0)} ms, ${((1000 * batch) / oursMs).toFixed(0)} images/s; ${theirs}${best ? `; speed ratio ${(best / oursMs).toFixed(2)}` : ''}\n          ${describeShares(shares)}`,
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
  peaks,
  geomeanRatio,
  loadAfter: describeMachine().load,
  rows,
};
console.log(
  values.json
    ? JSON.stringify(report, null, 2)
    : `${engine} on ${machine.cpu}, load ${machine.load}: geometric mean of speed ratios ${geomeanRatio?.toFixed(3) ?? '-'}`,
);
