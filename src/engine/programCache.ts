/** Keeps compiled programs by key, up to a number of bytes; the least recently used goes first. */
import type { ChoicePosition } from '../graph/choices.js';
import type { Graph } from '../graph/graph.js';
import { peakBytes } from '../graph/peakMemory.js';
import type { ChoiceProgram, Engine, Program } from './engine.js';
import { programBytes } from './programBytes.js';
import { Recent, type CacheStatistics, type Disposable } from './recent.js';

/** Enough for the programs of every block of the largest space that ships, at one image size. */
export const DEFAULT_PROGRAM_BYTES = 2e9;

/** What branches cost besides: 470 MB where the blocks of ofa-mbv3 as programs are estimated at 350. */
const BRANCH_FACTOR = 1.4;

/** The part of all bytes that one program may keep between runs. */
const KEPT_SHARE = 1 / 4;

/** One of the two; which one, the key says. */
interface Kept extends Disposable {
  readonly program?: Program;
  readonly choices?: ChoiceProgram;
}

export class ProgramCache {
  private readonly kept: Recent<Kept>;

  /**
   * `maxBytes`: how much programs may hold between runs, estimated. A program in use is disposed of after its run only, as
   * runs are sequential.
   */
  constructor(
    private readonly engine: Engine,
    maxBytes = DEFAULT_PROGRAM_BYTES,
  ) {
    this.kept = new Recent(maxBytes);
  }

  /**
   * The program of `key`, compiled from `build()` on the first call. `keepMemory`: it keeps the memory of a run for the next
   * one, if a quarter of what all may hold is enough for that. A failed compilation is not kept.
   */
  async get(key: string, build: () => Graph, keepMemory = false): Promise<Program> {
    const { program } = await this.kept.get(`program ${key}`, () => {
      const graph = build();
      const peak = keepMemory ? peakBytes(graph) : 0;
      const runBytes = peak <= KEPT_SHARE * this.maxBytes ? peak : 0;
      const compiled = this.engine.compile(graph, { keepMemory: runBytes > 0 });
      return {
        item: compiled.then((made) => ({ program: made, dispose: () => made.dispose() })),
        bytes: programBytes(graph) + runBytes,
      };
    });
    return program!;
  }

  /** Whether the engine can choose inside a program. */
  get canChoose(): boolean {
    return this.engine.compileChoices !== undefined;
  }

  /**
   * As `get`, for chains of choices. `runBytes`: the program keeps the memory of a run for the next one, so much; 0: it keeps
   * none. Throws TypeError where the engine has no choices.
   */
  async choices(key: string, build: () => readonly ChoicePosition[], runBytes = 0): Promise<ChoiceProgram> {
    const { choices } = await this.kept.get(`choices ${key}`, () => {
      const { engine } = this;
      if (engine.compileChoices === undefined)
        throw new TypeError(`Cannot compile choices: the engine must offer it: "${engine.name}" does not`);
      const positions = build();
      const graphs = positions.flatMap(({ variants }) => variants);
      return {
        item: engine
          .compileChoices(positions, { keepMemory: runBytes > 0 })
          .then((made) => ({ choices: made, dispose: () => made.dispose() })),
        bytes: runBytes + BRANCH_FACTOR * graphs.reduce((sum, graph) => sum + programBytes(graph), 0),
      };
    });
    return choices!;
  }

  get maxBytes(): number {
    return this.kept.maxBytes;
  }

  /** Another limit, which the next program compiled is the first to meet. */
  limit(maxBytes: number): void {
    this.kept.limit(maxBytes);
  }

  get statistics(): CacheStatistics {
    return this.kept.statistics;
  }

  dispose(): Promise<void> {
    return this.kept.dispose();
  }
}
