/** Chains of positions that each hold one of several graphs: all subnets of a supernet as one thing to compile. */
import type { Graph } from './graph.js';

/**
 * One position of a chain. Its graphs' input `x` is the `y` of the position before (the first one's is an input of the
 * chain) and, in a chain that computes gradients, their input `dy` is the output `gradient:x` of the position after.
 * Every other input and output `n` of the graphs is one of the chain, `choiceName(position, n)`.
 */
export interface ChoicePosition {
  readonly name: string;
  /** Equal names stand for the same thing in each of them; shapes may differ. */
  readonly variants: readonly Graph[];
  /** May be left out: then `y` is `x`, and `gradient:x` is `dy`. */
  readonly optional: boolean;
}

/** The index of a position's variant, or undefined where the position is left out. */
export type Choice = number | undefined;

/** Name in the chain of a position's own tensor. */
export const choiceName = (position: string, name: string): string => `${position}/${name}`;
