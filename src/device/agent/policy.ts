/** How much of the device others may ask for. What a provider's options may be is for the executor to check. */
import { UserError } from '../../util/errors.js';
import type { RuntimeSettings } from '../settings.js';

const MAX_BATCH = 4096;
const MAX_PROCESSORS = 4096;

/** Throws UserError naming the first setting that is not taken. `maxThreads`: the most threads that are. */
export function checkSettings({ threads, batch, pin }: RuntimeSettings, maxThreads: number): void {
  const refuse = (what: string, wanted: string, value: number): UserError =>
    new UserError(`Cannot measure with these settings: ${what} must be ${wanted}: current value is ${value}`);
  if (threads > maxThreads) throw refuse('threads', `at most ${maxThreads} on this device`, threads);
  if (batch > MAX_BATCH) throw refuse('batch', `at most ${MAX_BATCH}`, batch);
  const processors = pin ?? [];
  if (processors.length > MAX_PROCESSORS)
    throw refuse('pin', `at most ${MAX_PROCESSORS} processors`, processors.length);
  const last = processors.reduce((most, cpu) => Math.max(most, cpu), 0);
  if (last >= MAX_PROCESSORS) throw refuse('pin', `processors below ${MAX_PROCESSORS}`, last);
}
