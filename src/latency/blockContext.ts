/**
 * What a block is timed between. Alone, a block is billed for what it would not pay inside a network: its input comes in
 * the layout of the outside and its output goes back there, so a runtime with a layout of its own reorders numbers at
 * both ends. So it is timed behind a convolution that makes its input, and before one that reads next to nothing of its
 * output; the two together, without the block, are timed as well and taken off. Why, and what it gains:
 * docs/decisions/0009-blocks-timed-in-context.md.
 */
import { z } from 'zod';
import { measurementSchema, type LatencyMeasurement } from '../device/measurement.js';
import type { BlockSpec, ConvLayer, ImageShape } from '../space/network.js';

/** As measured, with what `contextMs` says taken off all times but `rawMs` and `firstRunMs`. */
export const blockEntrySchema = z.strictObject({
  ...measurementSchema.shape,
  /** Of the layers around the block, in ms; absent for a block that was timed alone. */
  contextMs: z.number().nonnegative().optional(),
  /** Likewise of `quietMs`. */
  contextQuietMs: z.number().nonnegative().optional(),
});
export type BlockEntry = z.infer<typeof blockEntrySchema>;

/** `24x56x56`. */
export const shapeKey = ({ channels, height, width }: ImageShape): string => `${channels}x${height}x${width}`;

function pointwise(inChannels: number, outChannels: number, stride: number): ConvLayer {
  return {
    kind: 'conv',
    name: 'pointwise',
    inChannels,
    outChannels,
    kernel: 1,
    stride,
    groups: 1,
    bias: true,
    kernelChoices: [1],
    kernelTransform: false,
  };
}

/** One number a pixel becomes a shape: nothing to reorder on the way in. */
function before(shape: ImageShape): BlockSpec {
  return {
    name: 'before',
    key: 'before',
    input: { ...shape, channels: 1 },
    output: shape,
    layers: [pointwise(1, shape.channels, 1)],
    shortcut: 'none',
  };
}

const FEW_CHANNELS = 16;

/** One pixel becomes 16 numbers: the shape stays as it is in memory, and is hardly read. */
function after(shape: ImageShape): BlockSpec {
  return {
    name: 'after',
    key: 'after',
    input: shape,
    output: { channels: FEW_CHANNELS, height: 1, width: 1 },
    layers: [pointwise(shape.channels, FEW_CHANNELS, Math.max(shape.height, shape.width))],
    shortcut: 'none',
  };
}

/** Whether a block takes the network's input, which comes from outside there as well. */
export const isFirst = (block: BlockSpec, inputChannels: number): boolean =>
  block.input.channels === inputChannels;

const isLast = ({ output }: BlockSpec): boolean => output.height === 1 && output.width === 1;

/** The chain that is timed for a block: what ends in one pixel needs nothing behind it. */
export function blockInContext(block: BlockSpec, inputChannels: number): BlockSpec[] {
  return [
    ...(isFirst(block, inputChannels) ? [] : [before(block.input)]),
    block,
    ...(isLast(block) ? [] : [after(block.output)]),
  ];
}

/** The chain that is timed for a context. */
export const contextAlone = (shape: ImageShape): BlockSpec[] => [before(shape), after(shape)];

/** A block's own part of what was measured with its context around it. Flagged where there is hardly any. */
export function withoutContext(
  measured: LatencyMeasurement,
  context: Pick<LatencyMeasurement, 'latencyMs' | 'quietMs'>,
): BlockEntry {
  const { latencyMs: contextMs, quietMs: contextQuietMs } = context;
  const own = (value: number, around = contextMs): number => Math.round((value - around) * 1e6) / 1e6;
  const { latencyMs, p90Ms, minMs, meanMs, ciMs, flags } = measured;
  const rest = own(latencyMs);
  const hidden = rest < 0.1 * contextMs && !flags.includes('belowOverhead');
  const { quietMs, ...others } = measured;
  return {
    ...others,
    latencyMs: Math.max(rest, 1e-6),
    p90Ms: p90Ms === null ? null : own(p90Ms),
    minMs: own(minMs),
    meanMs: own(meanMs),
    ciMs: ciMs === null ? null : [own(ciMs[0]), own(ciMs[1])],
    flags: hidden ? [...flags, 'belowOverhead' as const].sort() : flags,
    contextMs,
    ...(quietMs === undefined || contextQuietMs === undefined
      ? {}
      : { quietMs: Math.max(own(quietMs, contextQuietMs), 1e-6), contextQuietMs }),
  };
}
