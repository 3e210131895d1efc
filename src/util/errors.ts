/**
 * Errors that callers tell apart. Everything else is a `TypeError` (wrong type or shape), `RangeError` (out of
 * range) or `SyntaxError` (unparsable text). Messages: what failed, the wanted state, the current value; capital
 * letter, no full stop.
 */

/** Something the user asked for cannot be done; the message says what to do about it. The command line exits with 1. */
export class UserError extends Error {
  override readonly name: string = 'UserError';
}

/** The command was used wrongly (unknown option, missing argument). The command line exits with 2. */
export class UsageError extends UserError {
  override readonly name = 'UsageError';
}

/** No subnet of the space meets a limit; the message names the closest that is possible. */
export class InfeasibleError extends UserError {
  override readonly name = 'InfeasibleError';
}

/** The work was interrupted on request after its state had been saved. The command line exits with 130. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** A name that no registry entry has; lists those that exist. */
export function unknownName(kind: string, name: string, known: readonly string[]): UserError {
  const list = known.length === 0 ? 'there are none' : `known are ${[...known].sort().join(', ')}`;
  const shown = name.length > 200 ? `${name.slice(0, 200)}...` : name;
  return new UserError(`Unknown ${kind} "${shown}": ${list}`);
}
