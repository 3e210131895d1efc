/** The time that work took over all calls that it needed, kept in a file beside it: a call may be stopped and go on later. */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { readJson, writeJson } from './files.js';

export const elapsedSchema = z.strictObject({
  format: z.literal('ofakit.elapsed/1'),
  /** By stage. */
  seconds: z.record(z.string(), z.number().nonnegative()),
});

export class Elapsed {
  private readonly known: Map<string, number>;
  private readonly running = new Map<string, number>();

  private constructor(
    private readonly path: string,
    seconds: Readonly<Record<string, number>>,
    private readonly clock: () => number,
  ) {
    this.known = new Map(Object.entries(seconds));
  }

  /** `clock`: milliseconds that only grow. Throws UserError for a file that is there and is not one of these. */
  static async open(path: string, clock: () => number = () => performance.now()): Promise<Elapsed> {
    const seconds = existsSync(path) ? (await readJson(path, elapsedSchema)).seconds : {};
    return new Elapsed(path, seconds, clock);
  }

  /** Counts the time of `work` to a stage, also where it throws. A process that is killed in it loses that time. */
  async count<T>(stage: string, work: () => Promise<T>): Promise<T> {
    this.running.set(stage, this.clock());
    try {
      return await work();
    } finally {
      this.known.set(stage, this.seconds(stage));
      this.running.delete(stage);
      await this.save();
    }
  }

  /** Of a stage, or of all; what is running is counted so far. */
  seconds(stage?: string): number {
    if (stage === undefined) {
      const stages = new Set([...this.known.keys(), ...this.running.keys()]);
      return [...stages].reduce((sum, name) => sum + this.seconds(name), 0);
    }
    const since = this.running.get(stage);
    return (this.known.get(stage) ?? 0) + (since === undefined ? 0 : (this.clock() - since) / 1000);
  }

  /** What cannot be kept must not hide how the work ended. */
  private async save(): Promise<void> {
    const seconds = Object.fromEntries(this.known);
    await writeJson(this.path, { format: 'ofakit.elapsed/1', seconds }).catch(() => undefined);
  }
}
