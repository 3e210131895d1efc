/** All strategies: add a line to add one; the conformance suite takes it from here. */
import { unknownName } from '../../util/errors.js';
import type { StrategyDefinition } from '../strategy.js';
import { agingEvolution } from './agingEvolution.js';
import { bananas } from './bananas.js';
import { bayesian } from './bayesian.js';
import { differentiable } from './differentiable.js';
import { evolution } from './evolution.js';
import { exhaustive } from './exhaustive.js';
import { linas } from './linas.js';
import { localSearch, localSearchBest } from './localSearch.js';
import { nao } from './nao.js';
import { nsga2 } from './nsga2.js';
import { random } from './random.js';
import { reinforce } from './reinforce.js';
import { successiveHalving } from './successiveHalving.js';

export const strategies: ReadonlyMap<string, StrategyDefinition> = new Map(
  [
    evolution,
    agingEvolution,
    nsga2,
    localSearch,
    localSearchBest,
    linas,
    bayesian,
    bananas,
    successiveHalving,
    reinforce,
    nao,
    differentiable,
    random,
    exhaustive,
  ].map((strategy) => [strategy.name, strategy]),
);

/** Throws UserError naming the known ones. */
export function strategyByName(name: string): StrategyDefinition {
  const strategy = strategies.get(name);
  if (strategy === undefined) throw unknownName('search strategy', name, [...strategies.keys()]);
  return strategy;
}
