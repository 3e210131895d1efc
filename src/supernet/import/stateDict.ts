/** Tensors by name from files that other frameworks wrote: what their names mean is for others to say. */
import { UserError } from '../../util/errors.js';
import type { Shape, Tensor } from '../../util/tensor.js';
import { decodeSafetensors } from '../safetensors.js';
import { isDict, type PickleMap } from './pickle.js';
import { isTorchFile, readTorchFile } from './torchFile.js';
import { isFloat, storageName, TorchTensor, type TorchObject } from './torchTensors.js';

/** A tensor of a file. Its memory is taken when it is read, so compare the shape first. */
export interface StoredTensor {
  readonly shape: Shape;
  /** Undefined where the values are floating-point numbers; else what they are. */
  readonly notFloat?: string;
  read(): Tensor;
}
export type StateDict = ReadonlyMap<string, StoredTensor>;

/** Counters that batch norm keeps in PyTorch; nothing computes with them. */
const COUNTER = /(?:^|\.)num_batches_tracked$/;
/** What `torch.nn.DataParallel` and wrappers of models put before every name. */
const PREFIXES = ['module.', 'model.', 'net.'];
/** `torch.compile` puts this before names of what it compiled, which may be a part. */
const COMPILED = /(^|\.)_orig_mod\./g;
/** Under which keys files of trainings have the state dict. */
const WRAPPERS = ['state_dict', 'model_state_dict', 'model', 'net'];
/** Dicts around a state dict. */
const MOST_LEVELS = 3;

/**
 * The tensors of a PyTorch checkpoint (a state dict, or a dict with one under one of `WRAPPERS`) or of a safetensors file, without
 * what wrappers put before all names, and without batch norm's counters. Throws UserError naming `where` for anything else.
 */
export async function readStateDict(bytes: Uint8Array, where: string): Promise<StateDict> {
  const dict = isTorchFile(bytes) ? await torchState(bytes, where) : safetensorsState(bytes, where);
  const names = [...dict.keys()];
  const plain = unwrapped(names);
  const state = new Map<string, StoredTensor>();
  names.forEach((name, i) => {
    const short = plain[i]!;
    // Two names that mean the same keep what tells them apart.
    if (!COUNTER.test(name)) state.set(state.has(short) ? name : short, dict.get(name)!);
  });
  return state;
}

/** Names without `_orig_mod.` anywhere, and without prefixes that all of them have. */
function unwrapped(names: readonly string[]): string[] {
  let plain = names.map((name) => name.replace(COMPILED, '$1'));
  for (;;) {
    const prefix = PREFIXES.find((own) => plain.length > 0 && plain.every((name) => name.startsWith(own)));
    if (prefix === undefined) return plain;
    plain = plain.map((name) => name.slice(prefix.length));
  }
}

function safetensorsState(bytes: Uint8Array, where: string): StateDict {
  const { tensors } = decodeSafetensors(
    bytes,
    `${where} (not a file of torch.save, so taken for safetensors)`,
  );
  return new Map([...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, read: () => tensor }]));
}

async function torchState(bytes: Uint8Array, where: string): Promise<StateDict> {
  const file = await readTorchFile(bytes, where);
  const dict = new Map<string, StoredTensor>();
  for (const [name, tensor] of stateOf(file.value, where)) {
    if (typeof name !== 'string' || !(tensor instanceof TorchTensor)) {
      const what = typeof name === 'string' ? `"${name}" is none` : 'a key is no string';
      throw new UserError(`Cannot use ${where}: a state dict holds tensors by their names: ${what}`);
    }
    dict.set(name, {
      shape: tensor.shape,
      ...(isFloat(tensor) ? {} : { notFloat: storageName(tensor) }),
      read: () => file.read(tensor),
    });
  }
  return dict;
}

function stateOf(value: unknown, where: string): PickleMap<TorchObject> {
  let dict = value as PickleMap<TorchObject> | null;
  if (!isDict(dict))
    throw new UserError(`Cannot use ${where}: it must hold a state dict: it holds something else`);
  for (let level = 0; level < MOST_LEVELS; level++) {
    const key = WRAPPERS.find((name) => dict?.has(name));
    if (key === undefined) break;
    const inner: unknown = dict.get(key);
    dict = inner as PickleMap<TorchObject> | null;
    if (!isDict(dict))
      throw new UserError(`Cannot use ${where}: its "${key}" must be a dict of tensors: it is not`);
  }
  return dict;
}
