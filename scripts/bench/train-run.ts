/**
 * npm run bench:train-run -- [--json] [--steps 100] [--size 64] [--batch 32] [--threads 2]
 *
 * End to end: `ofa train` on a made-up folder of photos (schedule: one random subnet a step), from asking for a batch to the
 * end of the update, against the bare step (slicing, forward, backward, update on one batch) of the same subnets, before and
 * after. Then what the profile says outside the programs.
 *
 * npm run bench:train-run -- --phases [--json] [--data imagefolder:PATH] [--steps 24] [--only kernel] [--threads 2]
 *
 * `mbv3-cifar` in every phase of progressive shrinking: images a second and seconds an epoch. Without --data on made-up
 * pictures in the form and number of CIFAR-10's.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDataset, parseDatasetSpec } from '../../src/data/index.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { train } from '../../src/pipeline/train.js';
import { loadSpace } from '../../src/space/presets.js';
import { drawImageSize, drawSubnets } from '../../src/training/step.js';
import { loadSchedule, scheduleSchema, type Schedule } from '../../src/training/schedule.js';
import { silentLogger } from '../../src/util/logger.js';
import { createBareStep } from './support/bareStep.js';
import { writeCifar, writePhotos } from './support/madeUpData.js';
import { describeMachine } from './support/machine.js';
import { StepTimes } from './support/stepTimes.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    phases: { type: 'boolean', default: false },
    data: { type: 'string' },
    only: { type: 'string' },
    steps: { type: 'string' },
    size: { type: 'string', default: '64' },
    batch: { type: 'string', default: '32' },
    threads: { type: 'string', default: '2' },
  },
});
const [size, batch, threads] = [values.size, values.batch, values.threads].map(Number) as [
  number,
  number,
  number,
];
const SEED = 0;
const PROFILED_STEPS = 20;
/** Of each class in the made-up folder. */
const [CLASSES, TRAIN_PHOTOS, TEST_PHOTOS] = [100, 16, 1];
/** Validation is not training speed. */
const NEVER = Number.MAX_SAFE_INTEGER;

const machine = describeMachine();
const folder = await mkdtemp(join(tmpdir(), 'ofakit-bench-train-'));
try {
  const report = values.phases ? await phases() : await endToEnd();
  const whole = { machine, threads, ...report, loadAfter: describeMachine().load };
  if (values.json) console.log(JSON.stringify(whole, null, 2));
} finally {
  await rm(folder, { recursive: true });
}

function say(line: string): void {
  if (!values.json) console.log(line);
}

/** Long enough for a program of choices, as real runs are; how much of it is trained, `maxSteps` says. */
function longSchedule(phase: Record<string, unknown>, batchSize: number): Schedule {
  return scheduleSchema.parse({
    format: 'ofakit.schedule/1',
    name: 'bench',
    description: 'One phase',
    batchSize,
    momentum: 0.9,
    weightDecay: 3e-5,
    labelSmoothing: 0.1,
    phases: [phase],
  });
}

async function endToEnd(): Promise<Record<string, unknown>> {
  const steps = Number(values.steps ?? 100);
  const photos = join(folder, 'photos');
  await writePhotos(photos, {
    classes: CLASSES,
    train: TRAIN_PHOTOS,
    test: TEST_PHOTOS,
    width: 160,
    height: 120,
  });
  const space = await loadSpace('ofa-mbv3', { classes: CLASSES, imageSizes: [size] });
  const phase = { name: 'random', epochs: 1000, learningRate: 1e-3, subnets: ['random'] };
  const schedule = longSchedule(phase, batch);

  const runtime = await createRuntime({ threads });
  const bare = createBareStep(space, runtime, { batch, size });
  const bareMs = async (): Promise<number> => {
    let ms = 0;
    for (let step = 0; step < steps; step++) {
      const [architecture] = drawSubnets(space, schedule.phases[0]!, SEED, step, size);
      const stepMs = await bare.run(space.network(architecture!));
      if (step > 0) ms += stepMs;
    }
    return ms / (steps - 1);
  };
  // Compiles, and warms caches and threads up.
  await bare.run(space.network(space.largest));
  const before = await bareMs();
  say(`bare step before: ${before.toFixed(1)} ms`);

  const times = new StepTimes();
  const request = {
    space,
    schedule,
    data: `imagefolder:${photos}`,
    folder: join(folder, 'run'),
    seed: SEED,
    validateEveryEpochs: NEVER,
    logger: silentLogger,
    threads,
  };
  const {
    skippedImages: _skipped,
    weights: _weights,
    ...trained
  } = await train({
    ...request,
    maxSteps: steps,
    observer: times,
  });
  // The first step compiles.
  const trainMs = times.wallMs(1);
  const firstMs = times.stepMs(0);
  say(`ofa train: ${trainMs.toFixed(1)} ms a step, the first ${firstMs.toFixed(0)} ms`);
  const after = await bareMs();
  say(`bare step after: ${after.toFixed(1)} ms`);
  await runtime.dispose();
  const meanBareMs = (before + after) / 2;

  const { profile } = await train({ ...request, profileSteps: PROFILED_STEPS });
  const outside = profile?.outside;
  const ratio = meanBareMs / trainMs;
  say(`speed of ofa train: ${ratio.toFixed(3)} of the bare step's`);
  if (outside !== undefined) {
    const parts = Object.entries(outside).map(([part, ms]) => `${part} ${ms.toFixed(1)}`);
    say(`outside kernels, of ${profile!.stepMs.toFixed(1)} ms: ${parts.join(', ')}`);
  }
  return {
    work: 'train-run',
    space: space.name,
    size,
    batch,
    steps,
    bareMs: { before, after, mean: meanBareMs },
    trainMs,
    firstStepMs: firstMs,
    ratio,
    profile: profile && { stepMs: profile.stepMs, outside },
    peakMemoryBytes: trained.peakMemoryBytes,
  };
}

async function phases(): Promise<Record<string, unknown>> {
  const steps = Number(values.steps ?? 24);
  let { data } = values;
  if (data === undefined) {
    await writeCifar(join(folder, 'cifar'), 10_000);
    data = `cifar10:${join(folder, 'cifar')}`;
  }
  const space = await loadSpace('mbv3-cifar');
  const preset = await loadSchedule('progressive');
  const dataset = await openDataset(parseDatasetSpec(data));
  const stepsPerEpoch = Math.floor(dataset.splitSize('train') / preset.batchSize);
  const rows = [];
  for (const phase of preset.phases.filter(({ name }) => values.only === undefined || name === values.only)) {
    const times = new StepTimes();
    await train({
      space,
      schedule: longSchedule(phase, preset.batchSize),
      data,
      folder: join(folder, phase.name),
      seed: SEED,
      validateEveryEpochs: NEVER,
      logger: silentLogger,
      threads,
      maxSteps: steps,
      observer: times,
    });
    // The first step of an image size compiles its programs.
    const seen = new Set<number>();
    const kept: number[] = [];
    let compileMs = 0;
    for (let step = 0; step < steps; step++) {
      const imageSize = drawImageSize(space, phase, SEED, step);
      if (seen.has(imageSize)) kept.push(times.stepMs(step));
      else compileMs += times.stepMs(step);
      seen.add(imageSize);
    }
    const stepMs = kept.reduce((sum, ms) => sum + ms, 0) / kept.length;
    const row = {
      phase: phase.name,
      subnets: phase.subnets.length,
      teacher: phase.distillation.teacher,
      steps: kept.length,
      stepMs,
      imagesPerSecond: (1000 * preset.batchSize) / stepMs,
      epochSeconds: (stepsPerEpoch * stepMs) / 1000,
      firstStepsMs: compileMs,
      epochs: phase.epochs,
    };
    rows.push(row);
    say(
      `${phase.name.padEnd(8)} ${row.imagesPerSecond.toFixed(0)} images/s, ${stepMs.toFixed(0)} ms a step, ${row.epochSeconds.toFixed(0)} s an epoch (${stepsPerEpoch} steps); first steps of ${seen.size} image sizes ${(compileMs / 1000).toFixed(1)} s`,
    );
  }
  return {
    work: 'train-phases',
    space: space.name,
    data: dataset.name,
    batch: preset.batchSize,
    stepsPerEpoch,
    rows,
  };
}
