/**
 * npm run bench:gates -- [--space ofa-mbv3] [--arch largest|smallest] [--image-size 224] [--threads 1] [--repeat 200] [--json]
 *
 * What the gates of exported models (slope 1/3, half weights: docs/decisions/0026-gates-of-half-weights.md) cost beside those
 * of before (slope 1/6, which OpenCV takes for hard-swish): one run of the same network in ONNX Runtime, both taking turns;
 * medians, their ratio, and the ratio of the file of before to itself, which is what noise alone makes.
 */
import { parseArgs } from 'node:util';
import { loadRuntime } from '../../src/engine/onnxruntime/runtime.js';
import { randomNetworkModel } from '../../src/latency/models.js';
import { loadSpace } from '../../src/space/presets.js';
import { withGatesOfBefore } from '../../test/support/gates.js';
import { describeMachine, median } from './support/machine.js';

const { values } = parseArgs({
  options: {
    space: { type: 'string', default: 'ofa-mbv3' },
    arch: { type: 'string', default: 'largest' },
    'image-size': { type: 'string', default: '224' },
    threads: { type: 'string', default: '1' },
    repeat: { type: 'string', default: '200' },
    json: { type: 'boolean', default: false },
  },
});
const space = await loadSpace(values.space, { imageSizes: [Number(values['image-size'])] });
const arch = values.arch === 'smallest' ? space.smallest : space.largest;
const now = randomNetworkModel(space, arch, 1);
const before = withGatesOfBefore(now);
const runtime = await loadRuntime();
const sessions = await Promise.all(
  [before, now, before].map((model) =>
    runtime.InferenceSession.create(model, { intraOpNumThreads: Number(values.threads) }),
  ),
);
const { channels, height, width } = space.network(arch).input;
const size = channels * height * width;
const feeds = {
  input: new runtime.Tensor('float32', new Float32Array(size).fill(0.5), [1, channels, height, width]),
};
const times: number[][] = sessions.map(() => []);
for (let round = -10; round < Number(values.repeat); round++) {
  // Another one begins in every round: what follows a slow one is not always the same.
  for (let turn = 0; turn < sessions.length; turn++) {
    const place = (turn + Math.max(round, 0)) % sessions.length;
    const start = performance.now();
    await sessions[place]!.run(feeds);
    if (round >= 0) times[place]!.push(performance.now() - start);
  }
}
for (const session of sessions) await session.release();
const [beforeMs, nowMs, againMs] = times.map(median) as [number, number, number];
const report = {
  machine: describeMachine(),
  space: space.name,
  arch: values.arch,
  beforeMs,
  nowMs,
  ratio: nowMs / beforeMs,
  ratioOfTheSame: againMs / beforeMs,
};
console.log(
  values.json
    ? JSON.stringify(report, null, 2)
    : `${space.name} ${values.arch}: ${nowMs.toFixed(3)} ms, before ${beforeMs.toFixed(3)} ms: ${report.ratio.toFixed(3)} times; ` +
        `the same twice: ${report.ratioOfTheSame.toFixed(3)} times; load ${report.machine.load}`,
);
