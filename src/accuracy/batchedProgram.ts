/** Runs a graph of a fixed batch over any number of rows. */
import type { Engine, Program } from '../engine/engine.js';
import type { Graph } from '../graph/graph.js';
import { tensor } from '../util/tensor.js';

/**
 * Rows of a run: what a thousand rows make of a hidden layer still fits the processor's cache. The smaller ones are for
 * single architectures, and for what is left over.
 */
const BATCHES = [1024, 512, 128, 16] as const;

/** A run takes up to a quarter more rows than are left rather than being split. */
const SPARE = 1.25;

/** A number of rows that was asked for so often gets a program of its own, as far as there are not too many. */
const OFTEN = 20;
const MOST_OWN = 4;

function batchFor(left: number): number {
  const enough = BATCHES.findLast((size) => size >= left);
  if (enough !== undefined && (enough <= SPARE * left || enough === BATCHES[BATCHES.length - 1]))
    return enough;
  return BATCHES.find((size) => size <= left)!;
}

export class BatchedProgram {
  private readonly programs = new Map<number, Promise<Program>>();
  /** How often a number of rows was asked for. */
  private readonly asked = new Map<number, number>();
  private readonly own = new Set<number>();

  /** `build(batch)`: input `x` [batch, width], outputs [batch, ...]. */
  constructor(
    private readonly engine: Engine,
    private readonly width: number,
    private readonly build: (batch: number) => Graph,
  ) {}

  /** `rows`: [count, width]. Outputs by name, row-major [count, ...]. */
  async run(rows: Float32Array, count: number): Promise<Record<string, Float32Array>> {
    const { width } = this;
    const outputs: Record<string, Float32Array> = {};
    const single = this.deservesOwn(count);
    for (let start = 0; start < count;) {
      const batch = single ? count : batchFor(count - start);
      const taken = Math.min(batch, count - start);
      let x = rows.subarray(start * width, (start + taken) * width);
      if (taken < batch) {
        const padded = new Float32Array(batch * width);
        padded.set(x);
        x = padded;
      }
      const program = await this.program(batch);
      for (const [name, { data }] of Object.entries(await program.run({ x: tensor([batch, width], x) }))) {
        const columns = data.length / batch;
        outputs[name] ??= new Float32Array(count * columns);
        outputs[name].set(taken < batch ? data.subarray(0, taken * columns) : data, start * columns);
      }
      start += taken;
    }
    return outputs;
  }

  /** Frees the programs; running afterwards compiles them again. */
  async dispose(): Promise<void> {
    const programs = [...this.programs.values()];
    this.programs.clear();
    for (const program of programs) await (await program).dispose();
  }

  /** The generations of an evolution are all of one size, which a program that fits takes in a single run. */
  private deservesOwn(count: number): boolean {
    if (count < 1 || count > BATCHES[0]) return false;
    if (this.own.has(count)) return true;
    const times = (this.asked.get(count) ?? 0) + 1;
    this.asked.set(count, times);
    if (times < OFTEN || this.own.size === MOST_OWN) return false;
    this.own.add(count);
    return true;
  }

  private program(batch: number): Promise<Program> {
    let program = this.programs.get(batch);
    if (program === undefined) {
      program = this.engine.compile(this.build(batch));
      this.programs.set(batch, program);
    }
    return program;
  }
}
