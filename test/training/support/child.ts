/**
 * A training run in a process of its own: `child.ts FOLDER CHECKPOINT_SECONDS [KILL_AT]`. Writes `step N` before each
 * step; at step KILL_AT it kills itself as the system would.
 */
import { digits, runTiny, twoThreads } from './runs.js';

const [folder, checkpointSeconds, killAt] = process.argv.slice(2);
const runtime = await twoThreads();
await runTiny({
  folder: folder!,
  runtime,
  dataset: await digits(64),
  beforeStep: (step) => {
    process.stdout.write(`step ${step}\n`);
    if (`${step}` === killAt) process.kill(process.pid, 'SIGKILL');
  },
  training: { validateEveryEpochs: 1, checkpointSeconds: Number(checkpointSeconds) },
});
await runtime.dispose();
