/** What strategies can do, against what is asked of one. */
import type { Engine } from '../engine/engine.js';
import { UserError } from '../util/errors.js';
import type { Quantity } from './quantity.js';
import type { StrategyDefinition } from './strategy.js';
import type { Regressor } from './surrogate.js';

/** What a strategy is asked, and what it is given. */
export interface Commission {
  readonly strategy: StrategyDefinition;
  readonly objectives: readonly Quantity[];
  readonly regressor?: Regressor;
  readonly engine?: Engine;
}

/** Throws UserError for a strategy that cannot do what is asked of it, or lacks what it needs. */
export function checkAbilities({ strategy, objectives, regressor, engine }: Commission): void {
  const { name, capabilities, needs = {} } = strategy;
  const cannot = (reason: string): never => {
    throw new UserError(`Cannot search by "${name}": ${reason}`);
  };
  if (objectives.length === 0) cannot('there must be an objective: there is none');
  if (objectives.length > 1 && !capabilities.multiObjective) {
    cannot(
      `it seeks one objective: there are ${objectives.length} (${objectives.map((objective) => objective.name).join(', ')}); strategies for several are marked in docs/search.md`,
    );
  }
  if (needs.surrogate !== undefined && regressor === undefined)
    cannot('it needs a regressor to guess objectives with: there is none');
  if (needs.surrogate === 'variance' && regressor?.variance === false)
    cannot(`it needs a regressor that knows how sure it is: "${regressor.name}" does not`);
  if (needs.fidelity === true && objectives[0]?.evaluateAt === undefined) {
    cannot(
      `it evaluates on a share of the validation images: "${objectives[0]?.name}" can only be asked on all of them`,
    );
  }
  if (needs.engine === true && engine === undefined)
    cannot('it needs an engine to run networks on: there is none');
}
