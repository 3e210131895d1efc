/** How many subnets to score side by side, and how many images at once: measured, as it depends on the machine and its load. */
import type { Engine, Program } from '../engine/engine.js';
import { sizeOf, tensor } from '../util/tensor.js';
import { foldedGraph } from './evaluator.js';
import type { Network } from '../space/network.js';
import type { Tensor } from '../util/tensor.js';

export interface SampleSubnet {
  readonly network: Network;
  /** Of `extractSubnet`. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Long enough for a few batches, short beside a single evaluation of a large space. */
const MEASURED_MS = 200;
const FEWEST_RUNS = 3;

/**
 * Images a second that engines, each of a lane of its own, score together. `clock`: milliseconds.
 */
export async function scoringSpeed(
  engines: readonly Engine[],
  { network, tensors }: SampleSubnet,
  batch: number,
  clock: () => number = () => performance.now(),
): Promise<number> {
  const graph = foldedGraph(network, tensors, batch);
  const { channels, height, width } = network.input;
  const shape = [batch, channels, height, width];
  const input = tensor(shape, new Float32Array(sizeOf(shape)).fill(0.5));
  const programs: Program[] = [];
  try {
    for (const engine of engines) programs.push(await engine.compile(graph, { keepMemory: true }));
    await Promise.all(programs.map((program) => program.run({ input })));
    const speeds = await Promise.all(
      programs.map(async (program) => {
        const begin = clock();
        for (let runs = 1; ; runs++) {
          await program.run({ input });
          const ms = clock() - begin;
          if (runs >= FEWEST_RUNS && ms >= MEASURED_MS) return (1000 * batch * runs) / ms;
        }
      }),
    );
    return speeds.reduce((sum, speed) => sum + speed, 0);
  } finally {
    for (const program of programs) await program.dispose();
  }
}
