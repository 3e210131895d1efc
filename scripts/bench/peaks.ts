/**
 * npm run bench:peaks -- [--json] [--threads 2] [--repeat 7]
 *
 * What the machine can do at most, through ONNX Runtime: GFLOP/s of the best of several matrix products, GB/s of the best of
 * several copies (read and written together). `npm run bench:train-step` measures and prints the same beside its figures.
 */
import { parseArgs } from 'node:util';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { describeMachine } from './support/machine.js';
import { describePeaks, measurePeaks } from './support/peaks.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    threads: { type: 'string', default: '2' },
    repeat: { type: 'string', default: '7' },
  },
});
const threads = Number(values.threads);
const machine = describeMachine();
const runtime = await createRuntime({ threads });
const peaks = await measurePeaks(runtime.inference, Number(values.repeat));
await runtime.dispose();
const report = { work: 'peaks', machine, engine: runtime.inference.name, threads, ...peaks };
console.log(
  values.json
    ? JSON.stringify(report, null, 2)
    : `${report.engine} on ${machine.cpu}, load ${machine.load}: ${describePeaks(peaks)}`,
);
