/** A run's measured accuracies as a benchmark: what a supernet says of its subnets, as far as it was asked. */
import { networkCosts } from '../../space/costs.js';
import type { SearchSpace } from '../../space/space.js';
import { ONE_DATA_SET, recordsOfOneData } from '../dataKeys.js';
import { readAccuracies } from '../dataset.js';
import { tabularBenchmark, type TabularBenchmark } from './tabular.js';

/** Values are `top1`, `macs` and `params`. Throws UserError for a file that is damaged, or holds no accuracies. */
export async function readOwnBenchmark(path: string, space: SearchSpace): Promise<TabularBenchmark> {
  const all = await readAccuracies(path, space);
  const { records } = recordsOfOneData(all, {}, path, ONE_DATA_SET);
  return tabularBenchmark(
    space.name,
    space.genes,
    records.map(({ architecture, top1 }) => {
      const { macs, params } = networkCosts(space.network(architecture));
      return { architecture, values: { top1, macs, params } };
    }),
  );
}
