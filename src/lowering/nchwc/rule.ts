/** What a lowering rule is: one operation's blocked form. */
import type { Node, Operation, Value } from '../../graph/graph.js';
import type { BlockedWriter } from './blockedWriter.js';
import type { Facts } from './facts.js';

export interface BlockedCall<A> {
  readonly w: BlockedWriter;
  readonly facts: Facts;
  readonly node: Node;
  readonly attributes: A;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

export interface BlockedRule {
  readonly operation: string;
  /** Returns false, without having written anything, where the plain form is the better one. */
  readonly write: (call: BlockedCall<unknown>) => boolean;
}

/** A rule whose attributes have the operation's type. */
export function blockedRule<A>(
  operation: Operation<A>,
  write: (call: BlockedCall<A>) => boolean,
): BlockedRule {
  return { operation: operation.name, write: (call) => write(call as BlockedCall<A>) };
}
