/**
 * Supernets on disk: `supernet.json` beside the tensor files it names. The tensor files are named by their content and
 * written first, the JSON last and atomically, the files that the JSON before it named are removed after that: whenever the
 * process dies, the JSON there names whole files that belong together. Documented in docs/formats.md.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { createSpace, spaceFileSchema, type SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { fileProblem, readBytes, readJson, writeAtomic } from '../util/files.js';
import type { Tensor } from '../util/tensor.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';
import { storedParameters, tensorProblems } from './weights.js';

export const CHECKPOINT_FILE = 'supernet.json';

/** A name, never a path: of a file beside the JSON that names it. */
export const tensorFileName = z
  .string()
  .regex(/^\w[\w.-]*\.safetensors$/, 'must be the name of a safetensors file in the same folder');

const tensorFile = z.strictObject({
  file: tensorFileName,
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hexadecimal'),
});
type TensorFile = z.infer<typeof tensorFile>;

/** supernet.json. */
export const checkpointSchema = z.strictObject({
  format: z.literal('ofakit.checkpoint/1'),
  /** The whole space.json with overrides applied, so that a run needs no other file. */
  space: spaceFileSchema,
  /** What it was trained on; the form is that of data sets. Null where unknown (imported supernets). */
  data: z.json(),
  /** Where training stands; the form is the trainer's. */
  position: z.json(),
  weights: tensorFile,
  optimizer: tensorFile.optional(),
});

/** Any value that JSON holds as it is. */
export type Json = z.infer<ReturnType<typeof z.json>>;

export interface CheckpointState {
  readonly space: SearchSpace;
  /** All of `storedParameters(space)`. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** State of the optimiser, names of its own choice. */
  readonly optimizer?: ReadonlyMap<string, Tensor>;
  readonly data: Json;
  readonly position: Json;
}

export interface LoadedCheckpoint extends CheckpointState {
  readonly weights: Map<string, Tensor>;
  readonly optimizer?: Map<string, Tensor>;
  /** SHA-256 of the weights' file: what results computed from them are keyed by. */
  readonly weightsSha256: string;
}

/** What saving does to the disk, one operation at a time; tests interrupt it between any two. */
export interface CheckpointDisk {
  write(path: string, content: Uint8Array): Promise<void>;
  /** Names in a folder. */
  list(folder: string): Promise<string[]>;
  remove(path: string): Promise<void>;
}

const realDisk: CheckpointDisk = {
  write: writeAtomic,
  list: (folder) => readdir(folder),
  async remove(path) {
    await rm(path, { force: true }).catch((cause: unknown) => {
      throw fileProblem('remove', path, cause);
    });
  },
};

/** supernet.json alone, without the tensors. Throws UserError where it is missing or wrong. */
export function readCheckpointHead(folder: string): Promise<z.infer<typeof checkpointSchema>> {
  return readJson(join(folder, CHECKPOINT_FILE), checkpointSchema);
}

type ReadFile = (path: string) => Promise<Uint8Array>;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Tensor files of saves, named by their content. */
const OURS = /^(?:supernet|optimizer)-[0-9a-f]{16}\.safetensors$/;

/** Tensor files that the JSON of `folder` names; none where there is no JSON that can be read. */
async function namedFiles(folder: string): Promise<Set<string>> {
  try {
    const { weights, optimizer } = await readJson(join(folder, CHECKPOINT_FILE), checkpointSchema);
    return new Set([weights.file, ...(optimizer === undefined ? [] : [optimizer.file])]);
  } catch {
    return new Set();
  }
}

/**
 * Removes what saves that were killed left in `folder`: tensor files that its JSON does not name, where there is a JSON that
 * names some. For who alone saves there.
 */
export async function sweepCheckpoint(folder: string, disk: CheckpointDisk = realDisk): Promise<void> {
  const named = await namedFiles(folder);
  if (named.size === 0) return;
  for (const name of await disk.list(folder)) {
    if (OURS.test(name) && !named.has(name)) await disk.remove(join(folder, name));
  }
}

/**
 * Saves a checkpoint in `folder` (made if need be) in place of the one there. Where several processes do, against the rule,
 * the JSON that is written last still names whole files: a save removes only what it has replaced. Returns the SHA-256 of the
 * weights' file. Throws RangeError where `weights` are not those of the space, UserError where the disk
 * refuses.
 */
export async function saveCheckpoint(
  folder: string,
  state: CheckpointState,
  disk: CheckpointDisk = realDisk,
): Promise<string> {
  const problems = tensorProblems(state.weights, storedParameters(state.space));
  if (problems.length > 0) {
    throw new RangeError(
      `Cannot save the supernet: its tensors must be those of the space: ${problems.join('; ')}`,
    );
  }
  const replaced = await namedFiles(folder);
  const write = async (kind: string, tensors: ReadonlyMap<string, Tensor>): Promise<TensorFile> => {
    const bytes = encodeSafetensors(tensors);
    const hash = sha256(bytes);
    const file = `${kind}-${hash.slice(0, 16)}.safetensors`;
    await disk.write(join(folder, file), bytes);
    return { file, sha256: hash };
  };
  const weights = await write('supernet', state.weights);
  const optimizer = state.optimizer && (await write('optimizer', state.optimizer));
  const content: z.infer<typeof checkpointSchema> = {
    format: 'ofakit.checkpoint/1',
    space: state.space.file,
    data: state.data,
    position: state.position,
    weights,
    ...(optimizer ? { optimizer } : {}),
  };
  const json = Buffer.from(`${JSON.stringify(content, null, 2)}\n`, 'utf8');
  await disk.write(join(folder, CHECKPOINT_FILE), json);
  for (const name of replaced) {
    // What other savers wrote meanwhile is theirs, and what is named again is in use.
    const named = await namedFiles(folder);
    if (OURS.test(name) && named.size > 0 && !named.has(name)) await disk.remove(join(folder, name));
  }
  return weights.sha256;
}

/**
 * Loads the checkpoint of `folder`. Throws UserError naming the file that is missing, damaged or of another kind, and
 * every tensor that does not fit the space. May be called while another process saves. `read` reads the tensor files; tests
 * let things happen there.
 */
export async function loadCheckpoint(folder: string, read: ReadFile = readBytes): Promise<LoadedCheckpoint> {
  const path = join(folder, CHECKPOINT_FILE);
  let content = await readJson(path, checkpointSchema);
  for (;;) {
    try {
      return await loadNamed(folder, content, read);
    } catch (error) {
      // A save may have removed the files between the reading of the JSON and theirs; then the JSON has changed.
      const again = await readJson(path, checkpointSchema);
      if (again.weights.file === content.weights.file && again.optimizer?.file === content.optimizer?.file) {
        throw error;
      }
      content = again;
    }
  }
}

/** What the run in the folder was trained on, without its weights; undefined where there is no run. Throws UserError. */
export async function readCheckpointData(folder: string): Promise<Json | undefined> {
  const path = join(folder, CHECKPOINT_FILE);
  return existsSync(path) ? (await readJson(path, checkpointSchema)).data : undefined;
}

/** Where the training of the checkpoint in `folder` stands, without reading its weights. Throws UserError. */
export async function readCheckpointPosition(folder: string): Promise<Json> {
  return (await readJson(join(folder, CHECKPOINT_FILE), checkpointSchema)).position;
}

/** The space of the checkpoint in `folder`, without reading its weights. Throws as `loadCheckpoint`. */
export async function readCheckpointSpace(folder: string): Promise<SearchSpace> {
  const path = join(folder, CHECKPOINT_FILE);
  const { space } = await readJson(path, checkpointSchema);
  return createSpace(space, {}, `${path}, key "space"`);
}

async function loadNamed(
  folder: string,
  content: z.infer<typeof checkpointSchema>,
  read: ReadFile,
): Promise<LoadedCheckpoint> {
  const path = join(folder, CHECKPOINT_FILE);
  const space = createSpace(content.space, {}, `${path}, key "space"`);
  const weights = await readTensors(folder, content.weights, read);
  const problems = tensorProblems(weights, storedParameters(space));
  if (problems.length > 0) {
    throw new UserError(
      `Cannot use ${join(folder, content.weights.file)}: its tensors must be those of space "${space.name}":\n` +
        problems.map((problem) => `  ${problem}`).join('\n'),
    );
  }
  const optimizer = content.optimizer && (await readTensors(folder, content.optimizer, read));
  return {
    space,
    weights,
    ...(optimizer ? { optimizer } : {}),
    data: content.data,
    position: content.position,
    weightsSha256: content.weights.sha256,
  };
}

async function readTensors(
  folder: string,
  { file, sha256: wanted }: TensorFile,
  read: ReadFile,
): Promise<Map<string, Tensor>> {
  const path = join(folder, file);
  const bytes = await read(path);
  const hash = sha256(bytes);
  if (hash !== wanted) {
    throw new UserError(
      `Cannot use ${path}: its SHA-256 must be ${wanted}: it is ${hash}; the file is damaged or was replaced`,
    );
  }
  return decodeSafetensors(bytes, path).tensors;
}
