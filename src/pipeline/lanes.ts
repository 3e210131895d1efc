/** Engines beside a runtime's own, in threads of their own, so that several subnets run at a time. */
import type { Engine } from '../engine/engine.js';

/** Engines whose programs run in one thread, and the threads of its operators. */
export interface Lane {
  readonly training: Engine;
  readonly inference: Engine;
  close(): Promise<void>;
}

export interface Lanes {
  /** Of an operator of the runtime's own engines, to be shared out. */
  readonly threads: number;
  open(threads: number): Promise<Lane>;
}
