/** Reading rules of what moves elements without arithmetic. */
import { reshape, slice, transpose } from '../../graph/operations/shape.js';
import { sizeOf, type Shape } from '../../util/tensor.js';
import type { ReadingCall, ReadingRule } from './call.js';

/** Axes counted from the front. Throws for one that is not there, and for one given twice. */
function axesOf(call: ReadingCall, axes: readonly number[], rank: number): number[] {
  const positive = axes.map((axis) => (axis < 0 ? axis + rank : axis));
  if (positive.every((axis) => axis >= 0 && axis < rank) && new Set(positive).size === axes.length)
    return positive;
  throw call.fail(`axes must be different and of ${rank} dimensions: they are [${axes.join(', ')}]`);
}

const reshapeRule: ReadingRule = {
  attributes: ['allowzero'],
  inputs: [2, 2],
  read: (call) => {
    call.require('allowzero', 0);
    const x = call.value(0);
    const given = call.ints(1, 'the shape');
    const shape = given.map((n, i) => (n === 0 ? (x.shape[i] ?? 0) : n));
    const open = shape.indexOf(-1);
    if (open >= 0) shape[open] = sizeOf(x.shape) / sizeOf(shape.filter((_, i) => i !== open));
    if (!shape.every((n) => Number.isInteger(n) && n > 0))
      throw call.fail(`the shape must fit [${x.shape.join(', ')}]: it is [${given.join(', ')}]`);
    return { value: reshape(call.b, x, shape) };
  },
};

const flatten: ReadingRule = {
  attributes: ['axis'],
  inputs: [1, 1],
  read: (call) => {
    const x = call.value(0);
    const axis = call.int('axis', 1);
    const at = axis < 0 ? axis + x.shape.length : axis;
    if (at < 0 || at > x.shape.length) throw call.fail(`axis must be one of the input: it is ${axis}`);
    return { value: reshape(call.b, x, [sizeOf(x.shape.slice(0, at)), sizeOf(x.shape.slice(at))]) };
  },
};

const unsqueeze: ReadingRule = {
  attributes: [],
  inputs: [2, 2],
  read: (call) => {
    const x = call.value(0);
    const given = call.ints(1, 'axes');
    const axes = axesOf(call, given, x.shape.length + given.length);
    const rest = [...x.shape];
    const shape = Array.from({ length: x.shape.length + given.length }, (_, i) =>
      axes.includes(i) ? 1 : rest.shift()!,
    );
    return { value: reshape(call.b, x, shape) };
  },
};

const squeeze: ReadingRule = {
  attributes: [],
  inputs: [1, 2],
  read: (call) => {
    const x = call.value(0);
    const ones = x.shape.map((_, i) => i).filter((i) => x.shape[i] === 1);
    const axes = call.has(1) ? axesOf(call, call.ints(1, 'axes'), x.shape.length) : ones;
    if (!axes.every((axis) => ones.includes(axis)))
      throw call.fail(`dimensions must be 1: shape is [${x.shape.join(', ')}]`);
    return {
      value: reshape(
        call.b,
        x,
        x.shape.filter((_, i) => !axes.includes(i)),
      ),
    };
  },
};

const transposeRule: ReadingRule = {
  attributes: ['perm'],
  inputs: [1, 1],
  read: (call) => {
    const x = call.value(0);
    const reversed = x.shape.map((_, i) => x.shape.length - 1 - i);
    return { value: transpose(call.b, x, call.intsAttribute('perm') ?? reversed) };
  },
};

const sliceRule: ReadingRule = {
  attributes: [],
  inputs: [3, 5],
  read: (call) => {
    const x = call.value(0);
    const [starts, ends] = [call.ints(1, 'starts'), call.ints(2, 'ends')];
    const listed = call.has(3) ? call.ints(3, 'axes') : starts.map((_, i) => i);
    const steps = call.has(4) ? call.ints(4, 'steps') : starts.map(() => 1);
    const axes = axesOf(call, listed, x.shape.length);
    const lengths = [ends, axes, steps].map(({ length }) => length);
    if (!lengths.every((n) => n === starts.length)) throw call.fail('its lists must have equal lengths');
    if (!steps.every((n) => n === 1)) throw call.fail(`steps must be 1: they are [${steps.join(', ')}]`);
    const from = x.shape.map(() => 0);
    const sizes: number[] = [...x.shape];
    axes.forEach((axis, i) => {
      const bound = (n: number): number => {
        const size = x.shape[axis]!;
        return Math.min(Math.max(n < 0 ? n + size : n, 0), size);
      };
      from[axis] = bound(starts[i]!);
      sizes[axis] = bound(ends[i]!) - from[axis];
    });
    if (!sizes.every((n) => n > 0)) throw call.fail('something must be left: the slice is empty');
    const wanted: Shape = sizes;
    return { value: slice(call.b, x, from, wanted) };
  },
};

const identity: ReadingRule = { attributes: [], inputs: [1, 1], read: (call) => call.handOn(0) };

const constant: ReadingRule = {
  attributes: ['value'],
  inputs: [0, 0],
  read: (call) => {
    const proto = call.tensorAttribute('value');
    if (proto === undefined) throw call.fail('attribute "value" must hold a tensor: it is missing');
    return { constant: proto };
  },
};

export const shapeRules: Readonly<Record<string, ReadingRule>> = {
  Reshape: reshapeRule,
  Flatten: flatten,
  Unsqueeze: unsqueeze,
  Squeeze: squeeze,
  Transpose: transposeRule,
  Slice: sliceRule,
  Identity: identity,
  Constant: constant,
};
