/** Every distinct network, in the order of `enumerateArchitectures`: exact, for spaces that are small enough. */
import { enumerateArchitectures } from '../../space/enumerate.js';
import { Genome } from '../../space/genotype.js';
import { createCandidate, type Candidate, type StrategyDefinition } from '../strategy.js';

export const exhaustive: StrategyDefinition = {
  name: 'exhaustive',
  description: 'every distinct network; exact, for small spaces',
  exact: true,
  capabilities: { multiObjective: true, constraints: 'learns', resume: 'replay' },
  defaultBudget: Number.POSITIVE_INFINITY,
  create({ genes }) {
    const genome = new Genome(genes);
    const all = enumerateArchitectures(genes);
    return {
      propose(count) {
        const list: Candidate[] = [];
        while (list.length < count) {
          const next = all.next();
          if (next.done) break;
          list.push(createCandidate(genome, genome.encode(next.value)));
        }
        return list;
      },
      observe: () => undefined,
    };
  },
};
