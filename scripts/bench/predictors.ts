/**
 * npm run bench:predictors -- [--json] [--data nas-bench-macro-open.json] [--predictors LIST] [--encodings LIST]
 *   [--targets LIST] [--losses LIST] [--samples 100,200,400] [--seeds 5] [--only quality|speed]
 *   [--python /usr/bin/python3] [--threads N] [--repeat 15]
 *
 * Accuracy predictors: (1) how well they rank networks of NAS-Bench-Macro that they were not fitted on, where the table is
 * given; (2) how long one perceptron of 3 x 400 takes for 16,000 architectures of the OFA MobileNetV3 space, encoding
 * included, beside the bare forward pass of NumPy and PyTorch on ready vectors, where there are any, taking turns.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { encodeRows, LOSSES } from '../../src/accuracy/predictor.js';
import { accuracyPredictorByName, accuracyPredictors } from '../../src/accuracy/predictors/index.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import { TARGET_SCALES } from '../../src/accuracy/targets.js';
import { benchPredictorsOnMacro, comparisonTable } from '../../src/pipeline/benchPredictors.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { loadSpace } from '../../src/space/presets.js';
import { silentLogger } from '../../src/util/logger.js';
import { describeMachine, median } from './support/machine.js';
import { startNumpyPeer } from './support/numpyPeer.js';
import { untrainedPerceptron } from './support/perceptron.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    data: { type: 'string' },
    predictors: { type: 'string', default: [...accuracyPredictors.keys()].join() },
    encodings: { type: 'string', default: 'plain,one-hot,ordinal,features,combined' },
    targets: { type: 'string', default: 'accuracy,log-error' },
    losses: { type: 'string', default: 'squared' },
    samples: { type: 'string', default: '100,200,400' },
    seeds: { type: 'string', default: '5' },
    only: { type: 'string' },
    python: { type: 'string', default: '/usr/bin/python3' },
    threads: { type: 'string', default: String(availableParallelism()) },
    repeat: { type: 'string', default: '15' },
  },
});
const list = <T extends string>(text: string, known: readonly T[]): T[] =>
  known.filter((name) => text.split(',').includes(name));

const machine = describeMachine();
const threads = Number(values.threads);
const runtime = await createRuntime({ threads });

const quality =
  values.data === undefined || values.only === 'speed'
    ? undefined
    : await benchPredictorsOnMacro(values.data, {
        definitions: values.predictors.split(',').map(accuracyPredictorByName),
        encodings: values.encodings.split(','),
        targets: list(values.targets, TARGET_SCALES),
        losses: list(values.losses, LOSSES),
        sizes: values.samples.split(',').map(Number),
        seeds: Number(values.seeds),
        engine: runtime.inference,
        logger: silentLogger,
      });
const speed = values.only === 'quality' ? undefined : await measureSpeed();
await runtime.dispose();

async function measureSpeed() {
  const count = 16_000;
  const space = await loadSpace('ofa-mbv3');
  const { predictor, encoder, shape, parameters, macs } = untrainedPerceptron(space, runtime.inference);
  const architectures = distinctArchitectures(space.genes, 0);
  const archs = Array.from({ length: count }, () => architectures.next().value!.architecture);
  const rows = encodeRows(encoder, archs);
  const peer = await startNumpyPeer(values.python, rows, { ...shape, parameters }, threads);

  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await work();
    return performance.now() - start;
  };
  const contestants: Record<string, () => Promise<number>> = {
    ours: () => timed(() => predictor.predict(archs)),
    oursOnVectors: () => timed(() => predictor.predictRows(rows)),
    ...(peer && { numpy: () => peer.measure('numpy') }),
    ...(peer?.torch != null && { torch: () => peer.measure('torch') }),
  };
  const times = new Map(Object.keys(contestants).map((name) => [name, [] as number[]]));
  // The first rounds compile programs and grow heaps.
  for (let round = -3; round < Number(values.repeat); round++) {
    for (const [name, run] of Object.entries(contestants)) {
      const ms = await run();
      if (round >= 0) times.get(name)!.push(ms);
    }
  }
  const { mean } = await predictor.predictRows(rows);
  const largestDifference =
    peer && mean.reduce((most, value, i) => Math.max(most, Math.abs(value - peer.outputs[i]!)), 0);
  await predictor.dispose();
  await peer?.close();
  return {
    architectures: count,
    gflop: (2 * count * macs) / 1e9,
    threads,
    numpy: peer?.numpy ?? null,
    torch: peer?.torch ?? null,
    largestDifference: largestDifference ?? null,
    contestants: [...times].map(([name, all]) => ({
      name,
      medianMs: median(all),
      leastMs: Math.min(...all),
      mostMs: Math.max(...all),
    })),
  };
}

const markdown = (header: readonly string[], lines: readonly (readonly string[])[]): string =>
  [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

if (values.json) {
  const report = { work: 'predictors', machine, quality, speed, loadAfter: describeMachine().load };
  console.log(JSON.stringify(report, null, 2));
} else {
  if (quality !== undefined) {
    const { header, lines } = comparisonTable(quality);
    console.log(`${markdown(header, lines)}\n`);
  }
  if (speed !== undefined) {
    const ours = speed.contestants.find(({ name }) => name === 'ours')!.medianMs;
    console.log(
      markdown(
        [
          `${speed.architectures} architectures, ${speed.gflop.toFixed(1)} GFLOP`,
          'median ms',
          'least',
          'most',
          'ours is faster by',
        ],
        speed.contestants.map(({ name, medianMs, leastMs, mostMs }) => [
          name,
          ...[medianMs, leastMs, mostMs].map((ms) => ms.toFixed(1)),
          name.startsWith('ours') ? '' : `${(medianMs / ours).toFixed(2)}x`,
        ]),
      ),
    );
    console.log(
      `\n${machine.cpu}, ${threads} threads, load ${machine.load}; largest difference from NumPy ${speed.largestDifference ?? '-'}`,
    );
  }
}
