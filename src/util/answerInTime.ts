/** Waiting for what may never come: code of others that is asked for an answer. */

/** Why there is no answer. */
export type NoAnswer = 'idle' | 'late';

/**
 * The answer of `ask`, or why there is none: `late` after `limitMs`; `idle` as soon as nothing is left in this process that could
 * bring it, where Node.js would end in the middle of the wait. What `ask` throws is thrown.
 */
export async function answerInTime<T>(
  ask: () => T | Promise<T>,
  limitMs: number,
): Promise<{ readonly answer: T } | { readonly missing: NoAnswer }> {
  let stop = (): void => undefined;
  const missing = new Promise<{ missing: NoAnswer }>((resolve) => {
    // The timer must not be what keeps the process alive: then nobody would see that nothing else does.
    const timer = setTimeout(() => resolve({ missing: 'late' }), limitMs).unref();
    const onIdle = (): void => void setImmediate(() => resolve({ missing: 'idle' }));
    process.once('beforeExit', onIdle);
    stop = () => {
      clearTimeout(timer);
      process.off('beforeExit', onIdle);
    };
  });
  try {
    return await Promise.race([Promise.resolve(ask()).then((answer) => ({ answer })), missing]);
  } finally {
    stop();
  }
}
