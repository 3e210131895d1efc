/** What the rules of one graph tell each other about values beyond their forms: computed once, used by later nodes. */
import type { Value } from '../../graph/graph.js';

/** What batch norm computed of its input on the way. Tensors of padded channels. */
export interface Normalised {
  /** x - mean, blocked. */
  readonly centred: string;
  /** 1 / sqrt(variance + epsilon): [padded C]. */
  readonly inverseDeviation: string;
}

export class Facts {
  /** By the input of a batch norm and the mean that came out. */
  readonly normalised = new Map<Value, Normalised>();
  /** Of the input of a fused activation, the result: it has the same sign, and no blocked form of the input is needed. */
  readonly results = new Map<Value, Value>();
  /** Of an image that repeats a value [N, C, 1, 1] at every position, that value. */
  readonly spread = new Map<Value, Value>();
  /** Hard sigmoid of a value, blocked. */
  readonly gates = new Map<Value, string>();
}
