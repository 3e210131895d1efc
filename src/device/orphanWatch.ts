/**
 * A thread of the measuring process: ends the process when its parent is gone. The main thread cannot, while a run that
 * never ends blocks it, and a measurement of the next parent would suffer. Windows does not tell; there it does nothing.
 */
import { workerData } from 'node:worker_threads';

const LOOK_MS = 1000;

setInterval(() => {
  if (process.ppid !== (workerData as number)) process.kill(process.pid, 'SIGKILL');
}, LOOK_MS);
