/** Batch-norm statistics of a subnet, recalibrated (`EN/utils.py:16-83`). */
import type { Batch } from '../data/batchSource.js';
import type { Engine, Program } from '../engine/engine.js';
import { calibrationGraph } from '../graph/network.js';
import type { Network } from '../space/network.js';
import { staticNetwork } from '../space/only.js';
import { tensor, type Tensor } from '../util/tensor.js';

/**
 * Means and (biased, within-batch) variances by full name, averaged over the batches, weighted by batch size. `tensors`: of
 * the stand-alone subnet (`extractSubnet`), whose own statistics are not read.
 */
export async function calibrateSubnet(
  network: Network,
  tensors: ReadonlyMap<string, Tensor>,
  batches: AsyncIterable<Batch>,
  engine: Engine,
): Promise<Map<string, Tensor>> {
  const { blocks } = staticNetwork(network);
  // Nearly always one: the last batch may be smaller.
  const programs = new Map<number, Program>();
  const programOf = async (batch: number): Promise<Program> => {
    const known = programs.get(batch);
    if (known !== undefined) return known;
    const program = await engine.compile(calibrationGraph(blocks, tensors, batch), { keepMemory: true });
    programs.set(batch, program);
    return program;
  };
  const sums = new Map<string, Float64Array>();
  let count = 0;
  try {
    for await (const { images } of batches) {
      const size = images.shape[0]!;
      const statistics = await (await programOf(size)).run({ input: images });
      for (const [name, { data }] of Object.entries(statistics)) {
        const sum = sums.get(name) ?? new Float64Array(data.length);
        sums.set(name, sum);
        data.forEach((v, i) => (sum[i]! += size * v));
      }
      count += size;
    }
  } finally {
    for (const program of programs.values()) await program.dispose();
  }
  return new Map(
    [...sums].map(([name, sum]) => [
      name,
      tensor(
        [sum.length],
        Float32Array.from(sum, (v) => v / count),
      ),
    ]),
  );
}
