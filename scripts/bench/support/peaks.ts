/** What the machine can do at most, as the runtime that trains reaches it: GFLOP/s of products, GB/s of copies. */
import type { Engine } from '../../../src/engine/engine.js';
import { GraphBuilder, type Graph } from '../../../src/graph/graph.js';
import { affine } from '../../../src/graph/operations/elementwise.js';
import { matmul } from '../../../src/graph/operations/matmul.js';
import { slice } from '../../../src/graph/operations/shape.js';
import { createRandom } from '../../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../../src/util/tensor.js';

export interface ProductPeak {
  /** Of the square matrices. */
  readonly size: number;
  readonly gflops: number;
}

export interface CopyPeak {
  /** Of the tensor that is read, and of the one that is written. */
  readonly megabytes: number;
  /** Read and written together. */
  readonly gbPerSecond: number;
}

export interface Peaks {
  /** The best of `products`. */
  readonly gflops: number;
  /** The best of `copies`. */
  readonly gbPerSecond: number;
  readonly products: readonly ProductPeak[];
  readonly copies: readonly CopyPeak[];
}

const SIZES = [384, 768, 1536, 2304];
/** Of one product's measurement. */
const PRODUCT_FLOP = 2e10;
/** Tensors of training steps have 1 to 25 MB; larger ones get fresh memory from the system every time. */
const MEGABYTES = [2, 8, 24];
const COPIES = 24;
const FLOAT_BYTES = 4;

/** x W W ... W, square matrices, the weights constant. */
export function productChain(size: number, links: number): Graph {
  const b = new GraphBuilder();
  const random = createRandom('peaks', size);
  // Of length 1 a row, so that values neither grow nor vanish.
  const scale = 1 / Math.sqrt(size);
  const values = Float32Array.from({ length: size * size }, () => scale * random.normal());
  const weight = b.constant('weight', [size, size], values);
  let x = b.input('x', [size, size]);
  for (let i = 0; i < links; i++) x = matmul(b, x, weight, false, false);
  b.output('y', slice(b, x, [0, 0], [1, 1]));
  return b.build();
}

/** Multiples of x, each written to memory of its own; only one number of each leaves the program. */
export function copies(count: number, elements: number): Graph {
  const b = new GraphBuilder();
  const x = b.input('x', [elements]);
  for (let i = 0; i < count; i++) b.output(`y${i}`, slice(b, affine(b, x, i + 2), [0], [1]));
  return b.build();
}

const filled = (shape: readonly number[]): Tensor => tensor(shape, new Float32Array(sizeOf(shape)).fill(0.5));

/** Milliseconds of the fastest of `repeat` runs, after one that does not count. */
async function fastest(engine: Engine, graph: Graph, repeat: number): Promise<number> {
  const program = await engine.compile(graph);
  try {
    const inputs = Object.fromEntries([...graph.inputs].map(([name, { shape }]) => [name, filled(shape)]));
    let best = Infinity;
    for (let i = 0; i <= repeat; i++) {
      const begin = performance.now();
      await program.run(inputs);
      if (i > 0) best = Math.min(best, performance.now() - begin);
    }
    return best;
  } finally {
    await program.dispose();
  }
}

/** `engine`: with the threads of what is compared with it. */
export async function measurePeaks(engine: Engine, repeat = 7): Promise<Peaks> {
  const products: ProductPeak[] = [];
  for (const size of SIZES) {
    const links = Math.max(1, Math.round(PRODUCT_FLOP / (2 * size ** 3)));
    const ms = await fastest(engine, productChain(size, links), repeat);
    products.push({ size, gflops: (links * 2 * size ** 3) / (1e6 * ms) });
  }
  const copied: CopyPeak[] = [];
  for (const megabytes of MEGABYTES) {
    const elements = (megabytes * 1e6) / FLOAT_BYTES;
    const ms = await fastest(engine, copies(COPIES, elements), repeat);
    copied.push({ megabytes, gbPerSecond: (COPIES * 2 * FLOAT_BYTES * elements) / (1e6 * ms) });
  }
  return {
    gflops: Math.max(...products.map(({ gflops }) => gflops)),
    gbPerSecond: Math.max(...copied.map(({ gbPerSecond }) => gbPerSecond)),
    products,
    copies: copied,
  };
}

/** One line for people. */
export const describePeaks = ({ gflops, gbPerSecond, products, copies: copied }: Peaks): string =>
  `peaks: ${gflops.toFixed(0)} GFLOP/s (${products.map((p) => `${p.size}x${p.size}: ${p.gflops.toFixed(0)}`).join(', ')}), ` +
  `${gbPerSecond.toFixed(1)} GB/s (${copied.map((c) => `${c.megabytes} MB: ${c.gbPerSecond.toFixed(1)}`).join(', ')})`;
