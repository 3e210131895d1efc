/** All strategies: add a line to add one; the conformance suite takes it from here. */
import { unknownName } from '../../util/errors.js';
import type { StrategyDefinition } from '../strategy.js';
import { differentiable } from './differentiable.js';
import { evolution } from './evolution.js';
import { exhaustive } from './exhaustive.js';
import { nao } from './nao.js';
import { random } from './random.js';
import { reinforce } from './reinforce.js';

export const strategies: ReadonlyMap<string, StrategyDefinition> = new Map(
  [evolution, reinforce, nao, differentiable, random, exhaustive].map((strategy) => [
    strategy.name,
    strategy,
  ]),
);

/** Throws UserError naming the known ones. */
export function strategyByName(name: string): StrategyDefinition {
  const strategy = strategies.get(name);
  if (strategy === undefined) throw unknownName('search strategy', name, [...strategies.keys()]);
  return strategy;
}
