/** Keeps compiled programs by key, up to a number; the least recently used goes first. */
import type { Graph } from '../graph/graph.js';
import type { Engine, Program } from './engine.js';

export interface CacheStatistics {
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
  readonly programs: number;
}

export class ProgramCache {
  private readonly programs = new Map<string, Promise<Program>>();
  private hits = 0;
  private misses = 0;
  private evictions = 0;

  /** `capacity`: how many programs are kept; a program in use is disposed after its run only, as runs are sequential. */
  constructor(
    private readonly engine: Engine,
    private readonly capacity = 1024,
  ) {}

  /** The program of `key`, compiled from `build()` on the first call. A failed compilation is not kept. */
  async get(key: string, build: () => Graph): Promise<Program> {
    const known = this.programs.get(key);
    if (known !== undefined) {
      this.hits++;
      this.programs.delete(key);
      this.programs.set(key, known);
      return known;
    }
    this.misses++;
    const program = this.engine.compile(build());
    this.programs.set(key, program);
    try {
      await program;
    } catch (error) {
      this.programs.delete(key);
      throw error;
    }
    for (const [oldest, evicted] of this.programs) {
      if (this.programs.size <= this.capacity) break;
      this.programs.delete(oldest);
      this.evictions++;
      await (await evicted).dispose();
    }
    return program;
  }

  get statistics(): CacheStatistics {
    return { hits: this.hits, misses: this.misses, evictions: this.evictions, programs: this.programs.size };
  }

  async dispose(): Promise<void> {
    const all = [...this.programs.values()];
    this.programs.clear();
    for (const program of all) await (await program).dispose();
  }
}
