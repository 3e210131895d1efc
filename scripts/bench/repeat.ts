/**
 * npm run bench:repeat -- [--space mbv3-cifar] [--device local-cpu] [--networks 5] [--copies 3] [--jobs 6] [--seed 0] [--json]
 *
 * How far a measurement repeats, and what the fixed model tells. The same networks, and the fixed model as one more, each
 * loaded several times, are measured in several jobs: copies differ by what is random within a job, means of copies by what
 * the machine is like from job to job; the second also over the fixed model's own readings. For devices fast enough for the
 * large fixed model.
 */
import { parseArgs } from 'node:util';
import { mean, sampleStandardDeviation } from 'simple-statistics';
import { BATCH_BYTES, measureOver } from '../../src/device/measure.js';
import type { LatencyMeasurement } from '../../src/device/measurement.js';
import { loadDevice } from '../../src/device/profile.js';
import { protocolByName } from '../../src/device/protocol.js';
import { referenceModels } from '../../src/device/referenceModels.js';
import { connectDevice } from '../../src/device/transports.js';
import { randomNetworkModel } from '../../src/latency/models.js';
import { Genome } from '../../src/space/genotype.js';
import { loadSpace } from '../../src/space/presets.js';
import { createRandom } from '../../src/util/random.js';
import { describeMachine } from './support/machine.js';

const { values } = parseArgs({
  options: {
    space: { type: 'string', default: 'mbv3-cifar' },
    device: { type: 'string', default: 'local-cpu' },
    networks: { type: 'string', default: '5' },
    copies: { type: 'string', default: '3' },
    jobs: { type: 'string', default: '6' },
    seed: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});
const [networks, copies, jobs, seed] = [values.networks, values.copies, values.jobs, values.seed].map(
  Number,
) as [number, number, number, number];
if (![networks, copies, jobs].every((count) => Number.isInteger(count) && count >= 2))
  throw new Error('Usage: --networks, --copies and --jobs are whole numbers of at least 2');
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const space = await loadSpace(values.space);
const device = await loadDevice(values.device);
const protocol = protocolByName('standard');
const genome = new Genome(space.genes);
const chance = createRandom(seed, 'networks that are measured again and again');
const onnx = range(networks).map(() =>
  randomNetworkModel(space, genome.decode(genome.sample(chance)), device.batch),
);
const models = [referenceModels().large, ...onnx];
const FIXED = 0;
if (copies * models.reduce((bytes, { byteLength }) => bytes + byteLength, 0) > BATCH_BYTES)
  throw new Error(`Usage: a job has at most ${BATCH_BYTES} bytes of models: fewer --networks or --copies`);

const machine = describeMachine();
const connection = await connectDevice(device);
/** By job, model and copy. */
const measured: LatencyMeasurement[][][] = [];
try {
  for (const job of range(jobs)) {
    const id = (model: number, copy: number): string => `${model} ${copy}`;
    const results = await measureOver(
      connection,
      device,
      models.flatMap((bytes, model) => range(copies).map((copy) => ({ id: id(model, copy), onnx: bytes }))),
      { ...protocol, interleave: models.length * copies },
      { seed: seed + job },
    );
    measured.push(models.map((_, model) => range(copies).map((copy) => results.get(id(model, copy))!)));
  }
} finally {
  await connection.close();
}

/** Mean over the networks of the standard deviation of logarithms, in percent: of copies in a job, of jobs. */
function deviations(value: (measurement: LatencyMeasurement) => number): {
  copiesPercent: number;
  jobsPercent: number;
} {
  const logs = measured.map((job) => job.slice(FIXED + 1).map((list) => list.map((m) => Math.log(value(m)))));
  return {
    copiesPercent: 100 * mean(logs.flatMap((job) => job.map((list) => sampleStandardDeviation(list)))),
    jobsPercent:
      100 * mean(range(networks).map((n) => sampleStandardDeviation(logs.map((job) => mean(job[n]!))))),
  };
}
const figures = {
  medians: deviations(({ latencyMs }) => latencyMs),
  quiet: deviations(({ quietMs }) => quietMs!),
  overFixedModel: deviations(({ quietMs, quietSentinelMs }) => quietMs! / quietSentinelMs!),
};
/** The fixed model's copies over its own readings, job by job: 1 where a reading is as a measurement. */
const fixedModel = measured.map((job) => mean(job[FIXED]!.map((m) => m.quietMs! / m.quietSentinelMs!)));

if (values.json)
  console.log(
    JSON.stringify(
      {
        work: 'repeat',
        machine,
        space: space.name,
        device: device.name,
        networks,
        copies,
        jobs,
        seed,
        figures,
        fixedModel,
      },
      null,
      2,
    ),
  );
else {
  console.log(
    `${networks} networks of ${space.name} on ${device.name}, ${copies} copies each in ${jobs} jobs; standard deviation in percent\n` +
      '| of | copies in a job | jobs |\n| --- | --- | --- |',
  );
  for (const [name, { copiesPercent, jobsPercent }] of Object.entries(figures))
    console.log(`| ${name} | ${copiesPercent.toFixed(2)} | ${jobsPercent.toFixed(2)} |`);
  console.log(
    `the fixed model over its own readings: ${fixedModel.map((ratio) => ratio.toFixed(3)).join(' ')}`,
  );
}
