/**
 * Slicing rules: a subnet's tensor is the leading part of every dimension of the stored one, and what comes back
 * (gradients, batch-norm statistics) goes to that same part. Nothing outside this file knows it.
 */
import { blockParameters } from '../space/parameters.js';
import type { BlockSpec } from '../space/network.js';
import { formatShape, sameShape, sizeOf, tensor, type Shape, type Tensor } from '../util/tensor.js';

/** Below this many values a plain loop beats `TypedArray.set`, which costs a call and a view. */
const SHORT_RUN = 32;

/** Whether `part` has the rank of `full` and no dimension is longer. */
export function isLeading(full: Shape, part: Shape): boolean {
  return full.length === part.length && part.every((n, i) => n >= 0 && n <= full[i]!);
}

/** Contiguous runs that a leading part is made of, in order. */
export interface Runs {
  readonly length: number;
  /** Offset of each run in the full tensor; in the part they follow one another. */
  readonly offsets: Int32Array;
}

/** Throws RangeError where `part` is not a leading part. */
export function leadingRuns(full: Shape, part: Shape): Runs {
  if (!isLeading(full, part)) {
    throw new RangeError(
      `Cannot slice a tensor: the part must be a leading part of ${formatShape(full)}: it is ${formatShape(part)}`,
    );
  }
  let cut = part.length - 1;
  while (cut > 0 && part[cut] === full[cut]) cut--;
  // Dimensions after `cut` are whole, so one run is `part[cut]` of their blocks; dimensions before it are walked.
  const block = sizeOf(full.slice(cut + 1));
  let offsets = Int32Array.of(0);
  for (let dim = 0; dim < cut; dim++) {
    const stride = sizeOf(full.slice(dim + 1));
    const count = part[dim]!;
    const next = new Int32Array(offsets.length * count);
    for (let i = 0; i < offsets.length; i++) {
      for (let j = 0; j < count; j++) next[i * count + j] = offsets[i]! + j * stride;
    }
    offsets = next;
  }
  const length = (part[cut] ?? 1) * block;
  return { length, offsets };
}

/**
 * The leading part of `full` with the given shape. Where the part is one contiguous run (only the first dimension is
 * cut, or nothing) the result is a VIEW: it shares memory with `full` and follows its later changes. Otherwise a copy.
 * Throws RangeError where `shape` is not a leading part.
 */
export function sliceLeading(full: Tensor, shape: Shape): Tensor {
  if (sameShape(full.shape, shape)) return full;
  const { length, offsets } = leadingRuns(full.shape, shape);
  if (offsets.length === 1) return { shape, data: full.data.subarray(0, length) };
  const source = full.data;
  const data = new Float32Array(length * offsets.length);
  for (let run = 0, to = 0; run < offsets.length; run++, to += length) {
    const from = offsets[run]!;
    if (length < SHORT_RUN) for (let i = 0; i < length; i++) data[to + i] = source[from + i]!;
    else data.set(source.subarray(from, from + length), to);
  }
  return tensor(shape, data);
}

/** Adds `part` to the leading part of `full` of its shape, in place (gradients). Throws RangeError as `sliceLeading`. */
export function addToLeading(full: Tensor, part: Tensor): void {
  const { length, offsets } = leadingRuns(full.shape, part.shape);
  const to = full.data;
  const from = part.data;
  for (let run = 0, p = 0; run < offsets.length; run++) {
    const end = offsets[run]! + length;
    for (let i = offsets[run]!; i < end; i++, p++) to[i]! += from[p]!;
  }
}

/** Overwrites the leading part of `full` of the shape of `part`, in place (batch-norm statistics). Throws RangeError. */
export function setLeading(full: Tensor, part: Tensor): void {
  const { length, offsets } = leadingRuns(full.shape, part.shape);
  for (let run = 0; run < offsets.length; run++) {
    full.data.set(part.data.subarray(run * length, (run + 1) * length), offsets[run]);
  }
}

/** The supernet's tensor of that name. Throws RangeError where there is none. */
export function stored(full: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = full.get(name);
  if (found === undefined) {
    throw new RangeError(`Cannot slice the supernet: it must have a tensor "${name}": there is none`);
  }
  return found;
}

/** Runs `work` so that a RangeError of it also names the tensor. */
function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new RangeError(`${cause.message} (tensor "${name}")`, { cause });
  }
}

/**
 * The tensors that a block computes with, by names relative to the block, in the order of `blockParameters(block,
 * 'used')`. Some are views (`sliceLeading`). Elastic kernels come at full size, with their matrices. `prefix` is the
 * block's name in the supernet. Throws RangeError naming a tensor that the supernet lacks or has too small.
 */
export function subnetTensors(
  weights: ReadonlyMap<string, Tensor>,
  block: BlockSpec,
  prefix: string = block.name,
): Map<string, Tensor> {
  const result = new Map<string, Tensor>();
  for (const { name, shape } of blockParameters(block, 'used')) {
    const full = stored(weights, `${prefix}.${name}`);
    result.set(
      name,
      named(name, () => sliceLeading(full, shape)),
    );
  }
  return result;
}

/** What takes gradients of subnets. */
export interface GradientSink {
  /**
   * Adds `part` to the leading part of its shape of the tensor `name` of the supernet. Throws RangeError naming a tensor that
   * there is none of, or that is too small.
   */
  add(name: string, part: Tensor): void;
}

/** Adds up gradients in tensors of the supernet's shapes, in place. */
export function sumInto(full: ReadonlyMap<string, Tensor>): GradientSink {
  return {
    add: (name, part) => {
      const whole = stored(full, name);
      named(name, () => addToLeading(whole, part));
    },
  };
}

/**
 * Overwrites what a block's tensors are in the supernet, in place, e.g. by new batch-norm statistics of a subnet's channels:
 * `parts` by names relative to the block, as `subnetTensors` gives them. Throws RangeError as `subnetTensors`.
 */
export function setInSupernet(
  full: ReadonlyMap<string, Tensor>,
  parts: ReadonlyMap<string, Tensor>,
  prefix: string,
): void {
  for (const [name, part] of parts) {
    const whole = stored(full, `${prefix}.${name}`);
    named(name, () => setLeading(whole, part));
  }
}
