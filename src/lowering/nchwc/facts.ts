/** What the rules of one graph tell each other about values beyond their forms: computed once, used by later nodes. */
import type { Value } from '../../graph/graph.js';

/** What batch norm computed of its input on the way. Vectors are [padded C]. */
export interface Normalised {
  /** x less an estimate of its mean, blocked. */
  readonly source: string;
  /** Mean of `source`; undefined where it is zero but for rounding. */
  readonly residual: string | undefined;
  /** 1 / sqrt(variance + epsilon). */
  readonly inverseDeviation: string;
  /** scale / sqrt(variance + epsilon). */
  readonly factor: string;
}

/** A value that is the blocked tensor `base` times `factor` [padded C] per channel. */
export interface Scaled {
  readonly base: string;
  readonly factor: string;
}

export class Facts {
  /** By the input of a batch norm. */
  readonly normalised = new Map<Value, Normalised>();
  readonly scaled = new Map<Value, Scaled>();
  /** Of the input of a fused activation, the result: it has the same sign, and no blocked form of the input is needed. */
  readonly results = new Map<Value, Value>();
  /** Of an image that repeats a value [N, C, 1, 1] at every position, that value. */
  readonly spread = new Map<Value, Value>();
  /** Hard sigmoid of a value, blocked. */
  readonly gates = new Map<Value, string>();
  /** A blocked value with zeros on both sides of its rows, by their number. */
  readonly widened = new Map<Value, { readonly name: string; readonly by: number }>();
}
