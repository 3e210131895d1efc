/** How long work tells what it does. Injected; library code never prints. */

export interface Progress {
  /** `done` of `total` units, also parts of one; `note` is a short text beside the bar, e.g. `loss 0.31, 512 images/s`. */
  update(done: number, note?: string): void;
  /** The stage is over; the bar goes away. */
  stop(): void;
}

export interface Logger {
  info(message: string): void;
  warn(message: string): void;
  /** A bar with an ETA on a terminal, plain lines elsewhere. */
  progress(label: string, total: number): Progress;
}

/** Says nothing: the default of the library. */
export const silentLogger: Logger = {
  info: () => undefined,
  warn: () => undefined,
  progress: () => ({ update: () => undefined, stop: () => undefined }),
};

/** The same, but no warning is said twice. */
export function warnOnce(logger: Logger): Logger {
  const said = new Set<string>();
  return {
    info: (message) => logger.info(message),
    warn: (message) => {
      if (!said.has(message)) logger.warn(message);
      said.add(message);
    },
    progress: (label, total) => logger.progress(label, total),
  };
}
