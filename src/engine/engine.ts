/** What runs graphs. Engines are interchangeable: one conformance suite holds all of them to the same results. */
import type { Choice, ChoicePosition } from '../graph/choices.js';
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../util/tensor.js';

export type Tensors = Readonly<Record<string, Tensor>>;

export interface Program {
  /** Inputs by name, all of them; outputs by name, in memory of their own. Throws TypeError for a missing or misshapen input. */
  run(inputs: Tensors): Promise<Record<string, Tensor>>;
  /** Frees what the engine holds for it. */
  dispose(): Promise<void>;
}

/** A chain of positions in which every run makes its own choice. */
export interface ChoiceProgram {
  /**
   * `choices`: one a position. Inputs of the positions that are there, by their name in the chain; outputs likewise. Throws
   * TypeError for a missing or misshapen input, RangeError for a choice that there is not.
   */
  run(inputs: Tensors, choices: readonly Choice[]): Promise<Record<string, Tensor>>;
  dispose(): Promise<void>;
}

export interface ProgramOptions {
  /** Whether the memory of a run is kept for the next one, where the engine can. Default: no. */
  readonly keepMemory?: boolean;
}

export interface Engine {
  readonly name: string;
  compile(graph: Graph, options?: ProgramOptions): Promise<Program>;
  /** Where the engine can choose inside a program. */
  compileChoices?(positions: readonly ChoicePosition[], options?: ProgramOptions): Promise<ChoiceProgram>;
  dispose(): Promise<void>;
}
