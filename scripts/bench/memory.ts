/**
 * npm run bench:memory -- [--json] [--space ofa-mbv3] [--size 224] [--batch 64] [--steps 1] [--max-memory 12000000000] [--programs]
 *
 * The most memory that `ofa train` holds, against its estimate and the limit it is given: a phase of the largest subnet, then
 * one of random subnets taught by it, each validated, on made-up photos. `--programs`: what a compiled program holds,
 * by operation of its graph, in place of all that.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { programBytes } from '../../src/engine/programBytes.js';
import { backwardGraph } from '../../src/graph/network.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { train } from '../../src/pipeline/train.js';
import { blockSignature } from '../../src/space/network.js';
import { loadSpace } from '../../src/space/presets.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { scheduleSchema } from '../../src/training/schedule.js';
import type { Logger } from '../../src/util/logger.js';
import { createRandom } from '../../src/util/random.js';
import { describeMachine } from './support/machine.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    programs: { type: 'boolean', default: false },
    space: { type: 'string', default: 'ofa-mbv3' },
    size: { type: 'string', default: '224' },
    batch: { type: 'string', default: '64' },
    steps: { type: 'string', default: '1' },
    'max-memory': { type: 'string', default: '12000000000' },
  },
});
const [size, batch, steps, maxMemory] = [values.size, values.batch, values.steps, values['max-memory']].map(
  Number,
) as [number, number, number, number];
/** Of each class: enough for a batch of calibration. */
const PHOTOS = 130;

const machine = describeMachine();
const report = values.programs ? await programs() : await training();
console.log(
  values.json
    ? JSON.stringify({ machine, ...report }, null, 2)
    : Object.entries(report)
        .map(([key, value]) => `${key}: ${typeof value === 'number' ? value.toPrecision(4) : String(value)}`)
        .join('\n'),
);

/** Trains on photos of noise in a temporary folder. */
async function training(): Promise<Record<string, unknown>> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-bench-memory-'));
  const said: string[] = [];
  const logger: Logger = {
    info: (message) => void said.push(message),
    warn: (message) => void said.push(message),
    progress: () => ({ update: () => undefined, stop: () => undefined }),
  };
  try {
    await photos(join(folder, 'photos'), PHOTOS, 60);
    const space = await loadSpace(values.space, { imageSizes: [size], classes: 2 });
    const phase = { epochs: steps / Math.floor((2 * PHOTOS * 0.85) / batch), learningRate: 0.01 };
    const started = performance.now();
    const { steps: trained, peakMemoryBytes } = await train({
      space,
      schedule: scheduleSchema.parse({
        format: 'ofakit.schedule/1',
        name: 'memory',
        description: 'for the benchmark',
        batchSize: batch,
        momentum: 0.9,
        weightDecay: 3e-5,
        labelSmoothing: 0.1,
        phases: [
          { ...phase, name: 'largest', subnets: ['largest'] },
          { ...phase, name: 'random', subnets: ['random'], distillation: { teacher: 'largest' } },
        ],
      }),
      data: `imagefolder:${join(folder, 'photos')}`,
      folder: join(folder, 'run'),
      seed: 0,
      validateEveryEpochs: 1e9,
      evaluation: { calibrationImages: 200 },
      maxMemory,
      logger,
    });
    return {
      work: 'memory',
      space: values.space,
      size,
      batch,
      steps: trained,
      seconds: (performance.now() - started) / 1000,
      maxMemoryBytes: maxMemory,
      peakMemoryBytes,
      within: peakMemoryBytes <= maxMemory,
      said: said.join('; '),
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Two classes, each with `train` images to train on and `test` others. */
async function photos(folder: string, train: number, test: number): Promise<void> {
  const random = createRandom(0, 'photos');
  for (const [split, count] of [
    ['train', train],
    ['test', test],
  ] as const) {
    for (const name of ['a', 'b']) {
      await mkdir(join(folder, split, name), { recursive: true });
      for (let i = 0; i < count; i++) {
        const raw = { width: 64, height: 64, channels: 3 } as const;
        const pixels = Uint8Array.from({ length: 3 * 64 * 64 }, () => random.int(256));
        const image = sharp(pixels, { raw }).resize(size, size);
        await image.jpeg().toFile(join(folder, split, name, `${i}.jpg`));
      }
    }
  }
}

/** Resident bytes that programs of blocks add, run once each, by operation of their graphs; and of a whole network. */
async function programs(): Promise<Record<string, unknown>> {
  const space = await loadSpace(values.space, { imageSizes: [64] });
  const runtime = await createRuntime();
  const random = createRandom(0, 'programs');
  const seen = new Set<string>();
  const graphs = Array.from({ length: 20 }, () => space.network(sampleArchitecture(space.genes, random)))
    .flatMap(({ blocks }) => blocks.slice(1, -1))
    .filter((block) => !seen.has(blockSignature(block)) && seen.add(blockSignature(block)))
    .map((block) => backwardGraph([block], 1, { loss: false, inputGradient: true }));
  const network = backwardGraph(space.network(space.largest).blocks, 1, { loss: true, inputGradient: false });
  // The first ones also load what all share.
  for (const graph of graphs.splice(0, 10)) await runtime.training.compile(graph);
  const held = async (list: typeof graphs): Promise<number> => {
    const before = process.memoryUsage.rss();
    for (const graph of list) await runtime.training.compile(graph);
    return process.memoryUsage.rss() - before;
  };
  const count = (list: typeof graphs): number => list.reduce((sum, { nodes }) => sum + nodes.length, 0);
  const estimate = (list: typeof graphs): number => list.reduce((sum, graph) => sum + programBytes(graph), 0);
  const [blockBytes, networkBytes] = [await held(graphs), await held([network])];
  return {
    work: 'programs',
    space: values.space,
    programs: graphs.length,
    bytesPerOperation: blockBytes / count(graphs),
    bytesPerOperationOfNetwork: networkBytes / count([network]),
    measuredBytes: blockBytes + networkBytes,
    estimatedBytes: estimate([...graphs, network]),
  };
}
