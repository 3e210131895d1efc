/** How much memory a graph needs while it runs, estimated from its shapes. */
import { sizeOf, type Shape } from '../util/tensor.js';
import type { Graph, Value } from './graph.js';

const FLOAT_BYTES = 4;

/**
 * Bytes that values other than inputs and constants take at the worst moment, operations run in the graph's order and values
 * freed behind their last use, outputs never. Beside each operation stands once more what it reads and writes: kernels
 * work on copies in other layouts. Images have their channels padded to whole blocks of `channelBlock`.
 */
export function peakBytes(graph: Graph, channelBlock = 16): number {
  const given = new Set<Value>([...graph.inputs.values(), ...graph.constants.keys()]);
  const results = new Set(graph.outputs.values());
  const lastUse = new Map<Value, number>();
  graph.nodes.forEach(({ inputs, outputs }, i) => {
    for (const value of [...outputs, ...inputs]) lastUse.set(value, i);
  });
  let alive = 0;
  let peak = 0;
  graph.nodes.forEach(({ inputs, outputs }, i) => {
    const touched = new Map(
      [...inputs, ...outputs].map((value) => [value, valueBytes(value.shape, channelBlock)]),
    );
    for (const value of outputs) alive += touched.get(value)!;
    peak = Math.max(peak, alive + [...touched.values()].reduce((sum, bytes) => sum + bytes, 0));
    for (const [value, bytes] of touched) {
      if (lastUse.get(value) === i && !given.has(value) && !results.has(value)) alive -= bytes;
    }
  });
  return peak;
}

function valueBytes(shape: Shape, channelBlock: number): number {
  const [n, c, height, width] = shape;
  if (shape.length !== 4) return FLOAT_BYTES * sizeOf(shape);
  return FLOAT_BYTES * n! * Math.ceil(c! / channelBlock) * channelBlock * height! * width!;
}

/** Bytes of the graph's outputs, which are copied out of it. */
export const outputBytes = ({ outputs }: Graph): number =>
  [...outputs.values()].reduce((sum, { shape }) => sum + FLOAT_BYTES * sizeOf(shape), 0);
