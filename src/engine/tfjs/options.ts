/** Choices of the caller. In a file without types of TensorFlow.js, which those who import this package may not have. */
import type { Logger } from '../../util/logger.js';

export interface LoadOptions {
  /** Threads inside an operator, where the package is a native one: TensorFlow's own choice unless given. */
  readonly threads?: number;
  /** File beside whose packages TensorFlow.js is looked for; this package's own unless given. */
  readonly from?: string | URL;
}

export interface TfjsOptions extends LoadOptions {
  /** Told which package computes. */
  readonly logger?: Logger;
}
