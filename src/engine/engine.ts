/** What runs graphs. Engines are interchangeable: one conformance suite holds all of them to the same results. */
import type { Graph } from '../graph/graph.js';
import type { Tensor } from '../util/tensor.js';

export type Tensors = Readonly<Record<string, Tensor>>;

export interface Program {
  /** Inputs by name, all of them; outputs by name, in memory of their own. Throws TypeError for a missing or misshapen input. */
  run(inputs: Tensors): Promise<Record<string, Tensor>>;
  /** Frees what the engine holds for it. */
  dispose(): Promise<void>;
}

export interface Engine {
  readonly name: string;
  compile(graph: Graph): Promise<Program>;
  dispose(): Promise<void>;
}
