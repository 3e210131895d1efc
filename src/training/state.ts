/** What a run has so far: made afresh, read from its folder, written back. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Batch } from '../data/batchSource.js';
import type { DatasetSource } from '../data/dataset.js';
import { batchProblem } from '../data/variance.js';
import { compareExamples, describeChange } from '../data/examples.js';
import { readDataRecord, recordedExamples, writeDataRecord, type DataRecord } from '../data/record.js';
import { isTrainable, type ParameterSpec } from '../space/parameters.js';
import type { SearchSpace, SpaceFile } from '../space/space.js';
import {
  CHECKPOINT_FILE,
  loadCheckpoint,
  saveCheckpoint,
  sweepCheckpoint,
  type Json,
} from '../supernet/checkpoint.js';
import { decodeSafetensors, encodeSafetensors } from '../supernet/safetensors.js';
import {
  initialiseWeights,
  storedParameters,
  tensorProblems,
  zeroTensors,
  type SupernetWeights,
} from '../supernet/weights.js';
import { UserError } from '../util/errors.js';
import { readBytes, validate, writeAtomic } from '../util/files.js';
import { importedPositionSchema, positionSchema, type Position, type RunSettings } from './position.js';

const TEACHER_FILE = 'teacher.safetensors';

/** What a run is: two runs with the same end with the same weights. */
export interface RunIdentity {
  readonly folder: string;
  readonly space: SearchSpace;
  readonly data: DatasetSource;
  /** What the data are now. */
  readonly record: DataRecord;
  readonly settings: RunSettings;
}

/** Moved on by the trainer, in place. */
export interface TrainingState {
  weights: SupernetWeights;
  velocity: SupernetWeights;
  /** Constant once it is there. */
  teacher: SupernetWeights | undefined;
  position: Position;
  /** Of the weights' file that was written last. */
  weightsSha256: string;
}

/** The tensors that gradients move. */
export function trainableParameters(space: SearchSpace): ParameterSpec[] {
  return storedParameters(space).filter(({ role }) => isTrainable(role));
}

export function copyTensors(tensors: SupernetWeights): SupernetWeights {
  return new Map([...tensors].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]));
}

/**
 * The state of the run in the folder, or that of one that begins, saved; what killed saves left there is swept.
 * `initialWeights` are copied. Throws UserError
 * where the folder holds another run, or a damaged one, or the disk refuses.
 */
export async function openState(
  identity: RunIdentity,
  initialWeights: SupernetWeights | undefined,
): Promise<TrainingState> {
  const { folder, space, settings } = identity;
  if (existsSync(join(folder, CHECKPOINT_FILE))) {
    const found = await resumeState(identity);
    await sweepCheckpoint(folder);
    return found;
  }
  // First: a run that is there has its record.
  await writeDataRecord(folder, identity.record);
  const state: TrainingState = {
    weights: initialWeights ? copyTensors(initialWeights) : initialiseWeights(space, settings.seed),
    velocity: zeroTensors(trainableParameters(space)),
    teacher: undefined,
    position: {
      format: 'ofakit.training/1',
      ...settings,
      step: 0,
      unreported: { steps: 0, loss: 0 },
      teacher: null,
    },
    weightsSha256: '',
  };
  await saveState(identity, state);
  await sweepCheckpoint(folder);
  return state;
}

/**
 * Where the run of a checkpoint stands. Throws UserError where it was not trained, or is another run than that of the
 * identity.
 */
export function positionOf(
  { folder, space, data, settings }: Omit<RunIdentity, 'record'>,
  checkpoint: { readonly space: SpaceFile; readonly data: unknown; readonly position: unknown },
): Position {
  if (importedPositionSchema.safeParse(checkpoint.position).success) {
    throw new UserError(
      `Cannot go on with the run in ${folder}: its supernet was imported, so no training was begun there; give another --out`,
    );
  }
  const where = `${join(folder, CHECKPOINT_FILE)}, key "position"`;
  const position = validate(checkpoint.position, positionSchema, where);
  requireSameRun(
    folder,
    { ...settings, space: space.file, data: absolute(data) },
    { ...position, space: checkpoint.space, data: absolute(checkpoint.data) },
  );
  return position;
}

async function resumeState(identity: RunIdentity): Promise<TrainingState> {
  const { folder, space, record } = identity;
  const checkpoint = await loadCheckpoint(folder);
  const position = positionOf(identity, { ...checkpoint, space: checkpoint.space.file });
  const begun = await readDataRecord(folder);
  // Runs of an older version have none.
  if (begun === undefined) await writeDataRecord(folder, record);
  else requireSameExamples(folder, begun, record);
  const { optimizer } = checkpoint;
  const problems =
    optimizer === undefined ? ['it is missing'] : tensorProblems(optimizer, trainableParameters(space));
  if (optimizer === undefined || problems.length > 0) {
    throw new UserError(`Cannot resume ${folder}: its optimiser state is unusable: ${problems[0]!}`);
  }
  return {
    weights: checkpoint.weights,
    velocity: optimizer,
    teacher: position.teacher === null ? undefined : await loadTeacher(folder, position.teacher),
    position,
    weightsSha256: checkpoint.weightsSha256,
  };
}

/** Throws UserError naming training images that were added or removed: with others it would be another run. */
function requireSameExamples(folder: string, begun: DataRecord, now: DataRecord): void {
  if (begun.splits.train.sha256 === now.splits.train.sha256) return;
  const [before, after] = [recordedExamples(begun), recordedExamples(now)];
  const change = before && after && compareExamples(before, after);
  throw new UserError(
    `Cannot go on with the run in ${folder}: its training images must be those that it began with: ` +
      (change === undefined ? 'they are others' : describeChange(change)) +
      '; put them back, or give another --out',
  );
}

/** Older runs keep the path of their data as it was given: here it is compared as what it means now. */
function absolute(data: unknown): unknown {
  if (typeof data !== 'object' || data === null || !('path' in data)) return data;
  return typeof data.path === 'string' ? { ...data, path: resolve(data.path) } : data;
}

/** Writes the checkpoint. Throws UserError where the disk refuses, or a weight is not finite. */
export async function saveState({ folder, space, data }: RunIdentity, state: TrainingState): Promise<void> {
  for (const [name, tensor] of state.weights) {
    if (tensor.data.every((v) => Number.isFinite(v))) continue;
    throw divergence(state.position.step, `"${name}" is not finite`);
  }
  state.weightsSha256 = await saveCheckpoint(folder, {
    space,
    weights: state.weights,
    optimizer: state.velocity,
    data: plain(data),
    position: plain(state.position),
  });
}

/** Keeps a copy of the weights as teacher, in memory and in the folder. */
export async function keepTeacher(folder: string, state: TrainingState): Promise<void> {
  const bytes = encodeSafetensors(state.weights);
  await writeAtomic(join(folder, TEACHER_FILE), bytes);
  state.teacher = copyTensors(state.weights);
  state.position = { ...state.position, teacher: { file: TEACHER_FILE, sha256: sha256(bytes) } };
}

async function loadTeacher(
  folder: string,
  { file, sha256: wanted }: NonNullable<Position['teacher']>,
): Promise<SupernetWeights> {
  const path = join(folder, file);
  const bytes = await readBytes(path);
  if (sha256(bytes) !== wanted) {
    throw new UserError(`Cannot resume ${folder}: ${file} is not the teacher that the run began with`);
  }
  return decodeSafetensors(bytes, path).tensors;
}

/** Of the file that would hold them. */
export function tensorsSha256(tensors: SupernetWeights): string {
  return sha256(encodeSafetensors(tensors));
}

/** Throws UserError naming the first setting in which a run differs from the command that would go on with it. */
function requireSameRun(
  folder: string,
  wanted: Readonly<Record<string, unknown>>,
  found: Readonly<Record<string, unknown>>,
): void {
  for (const [key, value] of Object.entries(wanted)) {
    if (isDeepStrictEqual(plain(value), plain(found[key]))) continue;
    throw new UserError(
      `Cannot go on with the run in ${folder}: it was started with another ${key}; give the same options, or another --out`,
    );
  }
}

/** The error of a training that went out of bounds. */
export function divergence(step: number, reason: string): UserError {
  return new UserError(
    `Training diverged at step ${step}: ${reason}; start again in another folder with a lower learningRate in the schedule`,
  );
}

/** Blames the images where it is them. */
export function lossDivergence(step: number, loss: number, batch: Batch): UserError {
  const images = batchProblem(batch);
  if (images === undefined) return divergence(step, `the loss is ${loss}`);
  return new UserError(
    `Training diverged at step ${step}: the loss is ${loss}, and ${images}; look at the data set's files, and start again in another folder`,
  );
}

/** As JSON holds it. */
function plain(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
