/**
 * HW-NAS-Bench: latency and energy of NAS-Bench-201's networks on six devices (Li et al., "HW-NAS-Bench: hardware-aware
 * neural architecture search benchmark", ICLR 2021; github.com/GATECH-EIC/HW-NAS-Bench). Its file is a pickle; what is read
 * here is the same content as JSON: the object under `nasbench201`, with its keys as they are.
 */
import { z } from 'zod';
import { unknownName, UserError } from '../../util/errors.js';
import { readJson } from '../../util/files.js';
import { inFile, nasBench201Genes } from './nasBench201.js';
import { tabularBenchmark, type TabularBenchmark } from './tabular.js';

/** Of one data set; keys that end in `_latency` or `_energy` hold a number a network, in the order of `config`. */
export const hwNasBenchSchema = z.record(
  z.string(),
  z.looseObject({ config: z.array(z.looseObject({ arch_str: z.string() })).nonempty() }),
);
const columnSchema = z.array(z.number().nonnegative());

/** Units of its metrics (`README.md`): milliseconds and millijoules. */
const METRICS: readonly (readonly [suffix: string, quantity: string])[] = [
  ['_latency', 'latencyMs'],
  ['_energy', 'energyMj'],
];

/**
 * `dataset`: `cifar10`, `cifar100` or `ImageNet16-120`: images of different sizes. Values are `latencyMs.DEVICE` and
 * `energyMj.DEVICE`; there are no accuracies, those are NAS-Bench-201's (`joinBenchmarks`). Throws UserError.
 */
export async function readHwNasBench(path: string, dataset: string): Promise<TabularBenchmark> {
  const file = await readJson(path, hwNasBenchSchema);
  const table = file[dataset];
  if (table === undefined) throw unknownName(`data set of ${path}`, dataset, Object.keys(file));
  const { config, ...rest } = table;
  const columns = new Map<string, readonly number[]>();
  for (const [key, content] of Object.entries(rest)) {
    const metric = METRICS.find(([suffix]) => key.endsWith(suffix));
    if (metric === undefined) continue;
    const column = columnSchema.safeParse(content);
    if (!column.success || column.data.length !== config.length) {
      throw new UserError(
        `Cannot use ${path}: "${dataset}.${key}" must be a list of ${config.length} numbers, one a network: it is not`,
      );
    }
    columns.set(`${metric[1]}.${key.slice(0, -metric[0].length)}`, column.data);
  }
  return tabularBenchmark(
    `hw-nas-bench ${dataset}`,
    nasBench201Genes,
    config.map(({ arch_str: text }, i) => ({
      architecture: inFile(path, text),
      values: Object.fromEntries([...columns].map(([quantity, column]) => [quantity, column[i]!])),
    })),
  );
}
