/** All strategies: add a line to add one; the conformance suite takes it from here. */
import type { StrategyDefinition } from '../strategy.js';
import { evolution } from './evolution.js';
import { exhaustive } from './exhaustive.js';
import { random } from './random.js';

export const strategies: ReadonlyMap<string, StrategyDefinition> = new Map(
  [evolution, random, exhaustive].map((strategy) => [strategy.name, strategy]),
);
