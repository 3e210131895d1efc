/** What a run's folder tells without its weights being read. */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { createSpace } from '../space/space.js';
import { CHECKPOINT_FILE, readCheckpointHead } from '../supernet/checkpoint.js';
import { METRICS_FILE, readMetrics } from '../training/metrics.js';
import { importedPositionSchema, positionSchema } from '../training/position.js';
import { UserError } from '../util/errors.js';
import { describeHolder, folderHolder } from '../util/lock.js';
import { runFiles } from './run.js';

export interface RunSummary {
  /** The folder, as it was given or found. */
  readonly run: string;
  /** `training`: steps are left; `made`: neither trained nor imported here; `damaged`: see `problem`. */
  readonly state: 'trained' | 'training' | 'imported' | 'made' | 'damaged';
  readonly problem?: string;
  readonly space: string | null;
  readonly width: number | null;
  readonly classes: number | null;
  readonly imageSizes: readonly number[] | null;
  /** `NAME` or `NAME:FOLDER`; null where it is not known. */
  readonly data: string | null;
  readonly schedule: string | null;
  readonly epochsScale: number | null;
  readonly batchSize: number | null;
  readonly seed: number | null;
  /** Of the file that the first weights came from. */
  readonly initSha256: string | null;
  readonly step: number | null;
  readonly totalSteps: number | null;
  /** Fractions, on validation images, as training told last. */
  readonly largestTop1: number | null;
  readonly smallestTop1: number | null;
  /** Measured accuracies of subnets. */
  readonly samples: number;
  readonly accuracyPredictor: boolean;
  readonly weightsSha256: string | null;
  /** Of all files in the folder. */
  readonly sizeBytes: number;
  /** When the checkpoint was written, ISO 8601. */
  readonly modified: string;
  /** Who writes there now. */
  readonly inUseBy: string | null;
}

type Contents = Omit<
  RunSummary,
  'run' | 'sizeBytes' | 'modified' | 'inUseBy' | 'samples' | 'accuracyPredictor' | 'problem'
>;

const NOTHING: Omit<Contents, 'state'> = {
  space: null,
  width: null,
  classes: null,
  imageSizes: null,
  data: null,
  schedule: null,
  epochsScale: null,
  batchSize: null,
  seed: null,
  initSha256: null,
  step: null,
  totalSteps: null,
  largestTop1: null,
  smallestTop1: null,
  weightsSha256: null,
};

export const isRun = (folder: string): boolean => existsSync(join(folder, CHECKPOINT_FILE));

/** Throws UserError; `action`: as in `Cannot remove FOLDER`. */
export function requireRun(folder: string, action: string): void {
  if (isRun(folder)) return;
  throw new UserError(
    `Cannot ${action} ${folder}: it must be a run: there is no ${CHECKPOINT_FILE} in it; see "ofa runs list"`,
  );
}

/** A damaged run is described as such. Throws UserError where the folder is no run. */
export async function describeRun(run: string): Promise<RunSummary> {
  requireRun(run, 'describe');
  const holder = await folderHolder(run);
  const common = {
    run,
    sizeBytes: await folderBytes(run),
    modified: (await stat(join(run, CHECKPOINT_FILE))).mtime.toISOString(),
    inUseBy: holder === undefined ? null : describeHolder(holder),
    samples: await countLines(runFiles(run).accuracies),
    accuracyPredictor: existsSync(runFiles(run).accuracyPredictor),
  };
  try {
    return { ...common, ...(await readRun(run)) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...common, ...NOTHING, state: 'damaged', problem: error.message.split('\n')[0]! };
  }
}

async function readRun(run: string): Promise<Contents> {
  const head = await readCheckpointHead(run);
  const { name, parameters } = createSpace(head.space, {}, `${join(run, CHECKPOINT_FILE)}, key "space"`);
  for (const { file } of [head.weights, ...(head.optimizer ? [head.optimizer] : [])]) {
    if (!existsSync(join(run, file)))
      throw new UserError(`Cannot use ${join(run, CHECKPOINT_FILE)}: ${file}, which it names, is not there`);
  }
  const known = {
    ...NOTHING,
    space: name,
    width: head.space.width,
    classes: parameters.classes,
    imageSizes: parameters.imageSizes,
    data: dataWords(head.data),
    weightsSha256: head.weights.sha256,
  };
  if (importedPositionSchema.safeParse(head.position).success) return { ...known, state: 'imported' };
  const position = positionSchema.safeParse(head.position).data;
  if (position === undefined) return { ...known, state: 'made' };
  const { schedule, epochsScale, batchSize, seed, init, step, totalSteps } = position;
  return {
    ...known,
    state: step < totalSteps ? 'training' : 'trained',
    schedule: schedule.name,
    epochsScale,
    batchSize,
    seed,
    initSha256: init,
    step,
    totalSteps,
    ...(await lastValidation(run)),
  };
}

async function lastValidation(run: string): Promise<Pick<RunSummary, 'largestTop1' | 'smallestTop1'>> {
  const metrics = await readMetrics(join(run, METRICS_FILE));
  const last = (subnet: string): number | null =>
    metrics
      .flatMap((metric) => (metric.kind === 'validation' && metric.subnet === subnet ? [metric.top1] : []))
      .at(-1) ?? null;
  return { largestTop1: last('largest'), smallestTop1: last('smallest') };
}

const dataSource = z.looseObject({ name: z.string(), path: z.string().optional() });

function dataWords(data: unknown): string | null {
  const source = dataSource.safeParse(data).data;
  if (source === undefined) return null;
  return source.path === undefined ? source.name : `${source.name}:${source.path}`;
}

async function countLines(path: string): Promise<number> {
  if (!existsSync(path)) return 0;
  return (await readFile(path, 'utf8')).split('\n').length - 1;
}

/** Bytes of all files in a folder and below. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    // What is removed meanwhile takes nothing.
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}
