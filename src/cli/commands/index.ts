/** All commands: add a line to add one. */
import type { Register } from '../context.js';
import { accuracy } from './accuracy.js';
import { agent } from './agent.js';
import { bench } from './bench.js';
import { cost } from './cost.js';
import { device } from './device.js';
import { evaluate } from './eval.js';
import { exportCommand } from './export.js';
import { finetune } from './finetune.js';
import { importCommand } from './import.js';
import { latency } from './latency.js';
import { measure } from './measure.js';
import { quickstart } from './quickstart.js';
import { report } from './report.js';
import { runs } from './runs.js';
import { search } from './search.js';
import { space } from './space.js';
import { specialize } from './specialize.js';
import { train } from './train.js';
import { verify } from './verify.js';

export const commands: readonly Register[] = [
  quickstart,
  space,
  cost,
  train,
  importCommand,
  evaluate,
  device,
  agent,
  measure,
  latency,
  accuracy,
  search,
  specialize,
  exportCommand,
  finetune,
  verify,
  report,
  runs,
  bench,
];
