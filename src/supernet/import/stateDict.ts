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
/** `torch.nn.DataParallel` puts this before every name. */
const PARALLEL = 'module.';

/**
 * The tensors of a PyTorch checkpoint (a state dict, or a dict with one under "state_dict"; any "module." before all names
 * taken off) or of a safetensors file, without batch norm's counters. Throws UserError naming `where` for anything else.
 */
export async function readStateDict(bytes: Uint8Array, where: string): Promise<StateDict> {
  const dict = isTorchFile(bytes) ? await torchState(bytes, where) : safetensorsState(bytes, where);
  const names = [...dict.keys()];
  const parallel = names.length > 0 && names.every((name) => name.startsWith(PARALLEL));
  return new Map(
    [...dict]
      .map(([name, tensor]) => [parallel ? name.slice(PARALLEL.length) : name, tensor] as const)
      .filter(([name]) => !COUNTER.test(name)),
  );
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
  const dict = value as PickleMap<TorchObject> | null;
  if (!isDict(dict))
    throw new UserError(`Cannot use ${where}: it must hold a state dict: it holds something else`);
  const inner = dict.get('state_dict');
  if (inner === undefined) return dict;
  if (isDict(inner)) return inner;
  throw new UserError(`Cannot use ${where}: its "state_dict" must be a dict of tensors: it is not`);
}
