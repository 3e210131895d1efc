/** Keeps compiled programs by key, up to a number of bytes; the least recently used goes first. */
import type { Graph } from '../graph/graph.js';
import type { Engine, Program } from './engine.js';
import { programBytes } from './programBytes.js';
import { Recent, type CacheStatistics } from './recent.js';

/** Enough for the programs of every block of the largest space that ships, at one image size. */
export const DEFAULT_PROGRAM_BYTES = 2e9;

export class ProgramCache {
  private readonly programs: Recent<Program>;

  /**
   * `maxBytes`: how much programs may hold between runs, estimated. A program in use is disposed of after its run only, as
   * runs are sequential.
   */
  constructor(
    private readonly engine: Engine,
    maxBytes = DEFAULT_PROGRAM_BYTES,
  ) {
    this.programs = new Recent(maxBytes);
  }

  /** The program of `key`, compiled from `build()` on the first call. A failed compilation is not kept. */
  get(key: string, build: () => Graph): Promise<Program> {
    return this.programs.get(key, () => {
      const graph = build();
      return { item: this.engine.compile(graph), bytes: programBytes(graph) };
    });
  }

  /** Another limit, which the next program compiled is the first to meet. */
  limit(maxBytes: number): void {
    this.programs.limit(maxBytes);
  }

  get statistics(): CacheStatistics {
    return this.programs.statistics;
  }

  dispose(): Promise<void> {
    return this.programs.dispose();
  }
}
