import type { Command } from 'commander';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import { percent, type CliContext } from '../context.js';

export interface PathOptions {
  readonly supernet: string;
  readonly device: string;
  readonly data?: string;
  readonly maxLatencyMs?: number;
  readonly maxMacs?: number;
  readonly maxParams?: number;
  readonly strategy?: string;
  readonly table?: string;
  readonly steps: number;
  readonly finalists: number;
  readonly journal?: string;
  readonly seed: number;
}

/** `ofa search --strategy differentiable --data DATA`: on the supernet itself, with images, instead of a predictor. */
export async function searchOnSupernet(
  options: PathOptions,
  self: Command,
  context: CliContext,
): Promise<void> {
  if (options.strategy !== 'differentiable') {
    throw new UsageError(
      `Cannot search on images: --data belongs to --strategy differentiable: the strategy is ${options.strategy === undefined ? 'not given' : `"${options.strategy}"`}`,
    );
  }
  const [
    { searchSupernetPaths },
    { openRun },
    { withRun },
    { findTable },
    { latencyFunction, openLatencyTable },
    { costQuantities, latencyQuantity },
    { toFile },
    { networkCosts },
  ] = await Promise.all([
    import('../../pipeline/searchPaths.js'),
    import('../../pipeline/run.js'),
    import('../../pipeline/withRun.js'),
    import('../../pipeline/tables.js'),
    import('../../latency/query.js'),
    import('../../search/quantity.js'),
    import('../../space/architecture.js'),
    import('../../space/costs.js'),
  ]);
  const run = await openRun(options.supernet);
  const { space } = run;
  const table = await openLatencyTable(await findTable(options.device, space, options.table));
  table.checkSpace(space);
  const latency = latencyFunction(table);
  const costs = costQuantities(space);
  const quantity = latencyQuantity(latency);
  const limits = [
    [quantity, options.maxLatencyMs],
    [costs.macs, options.maxMacs],
    [costs.params, options.maxParams],
  ] as const;
  const logger = await context.logger();
  await withRun(run, { data: options.data, logger }, async ({ loader, runtime, evaluator }) => {
    const { best, finalists, steps, leftOut } = await searchSupernetPaths({
      run,
      loader,
      executor: runtime.executor,
      evaluator,
      constraints: limits.flatMap(([quantity, limit]) => (limit === undefined ? [] : [{ quantity, limit }])),
      known: [quantity],
      settings: { steps: options.steps },
      batch: 64,
      finalists: options.finalists,
      seed: options.seed,
      logger,
      signal: context.signal,
      ...(options.journal === undefined ? {} : { journal: options.journal }),
    });
    const predicted = latency(finalists.map(({ architecture }) => architecture));
    const rows = finalists.map(({ architecture, top1 }, i) => ({
      top1,
      predictedMs: predicted[i]!,
      macs: networkCosts(space.network(architecture)).macs,
      architecture: toFile(architecture),
    }));
    const document = {
      strategy: 'differentiable',
      steps,
      best: rows[finalists.indexOf(best)],
      finalists: rows,
      ...(leftOut.length > 0 && { leftOut }),
      skippedImages: loader.skipped,
    };
    context.result(self, document, () =>
      formatRows(
        ['top-1 (validation)', 'predicted ms', 'MACs (millions)', 'architecture'],
        rows.map((row) => [
          percent(row.top1),
          row.predictedMs.toFixed(3),
          (row.macs / 1e6).toFixed(2),
          JSON.stringify(row.architecture),
        ]),
      ),
    );
  });
}
