/** All commands: add a line to add one. */
import type { Register } from '../context.js';
import { cost } from './cost.js';
import { device } from './device.js';
import { evaluate } from './eval.js';
import { latency } from './latency.js';
import { measure } from './measure.js';
import { space } from './space.js';
import { train } from './train.js';

export const commands: readonly Register[] = [space, cost, train, evaluate, device, measure, latency];
