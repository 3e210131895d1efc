import { Option, type Command } from 'commander';
import type { SearchLimit, SearchRunRequest } from '../../pipeline/search.js';
import { PICK_RULES, type PickRule } from '../../search/pick.js';
import type { SearchSpace } from '../../space/space.js';
import { UsageError } from '../../util/errors.js';
import { integer, number, seedOption, type CliContext, type Register } from '../context.js';
import { openDeviceTables } from '../deviceTables.js';
import { addSpaceChoice, checkSpaceChoice, chosenSpace, type SpaceChoice } from '../spaceChoice.js';

interface SearchOptions extends SpaceChoice {
  readonly device?: string[];
  readonly table?: string[];
  readonly objective?: string[];
  readonly maxLatencyMs?: number;
  readonly maxMacs?: number;
  readonly maxParams?: number;
  readonly limit?: SearchLimit[];
  readonly strategy?: string;
  readonly budget?: number;
  readonly pareto?: boolean;
  readonly pick?: PickRule;
  readonly out?: string;
  readonly data?: string;
  readonly steps: number;
  readonly finalists: number;
  readonly journal?: string;
  readonly seed: number;
}

/** `modelBytes=5e6`; the name may be a path, which may have an equals sign. */
function limit(text: string, previous: SearchLimit[] = []): SearchLimit[] {
  const at = text.lastIndexOf('=');
  if (at < 1) throw new UsageError(`Cannot use --limit: NAME=VALUE is wanted: current value is "${text}"`);
  return [...previous, { quantity: text.slice(0, at), limit: number('limit')(text.slice(at + 1)) }];
}

export const search: Register = (program, context) => {
  addSpaceChoice(program.command('search'))
    .description('the best subnet within limits, or the whole Pareto front, by predictors alone')
    .option('--device <name...>', 'devices whose latency tables predict')
    .option(
      '--table <file...>',
      "the devices' latency tables, in the same order; their own devices without --device",
    )
    .option(
      '--objective <what...>',
      'accuracy, latencyMs, macs, params, modelBytes, peakActivationBytes, as much as possible of a count (macs:max), or a module of your own (default: accuracy)',
    )
    .option('--max-latency-ms <ms>', 'latency limit, on every device', number('max-latency-ms', { above: 0 }))
    .option('--max-macs <n>', 'limit of multiply-accumulates', number('max-macs', { above: 0 }))
    .option('--max-params <n>', 'limit of parameters', number('max-params', { above: 0 }))
    .option(
      '--limit <name=value...>',
      'limit of anything that can be an objective: at most, or at least where more is better',
      limit,
    )
    .option(
      '--strategy <name>',
      'how networks are proposed (default: exhaustive where the space is small, else evolution, nsga2 for a front)',
    )
    .option('--budget <n>', 'networks whose objectives are asked', integer('budget', 1))
    .option(
      '--pareto',
      'seek the whole front of the objectives (default: of accuracy and latency) and write it',
    )
    .addOption(new Option('--pick <rule>', 'which network of the front is the best').choices(PICK_RULES))
    .option(
      '--out <dir>',
      'folder of front.json, front.csv and front.svg (default: front in the run, or here)',
    )
    .option('--data <data>', 'with --strategy differentiable: search on the supernet itself, on these images')
    .option('--steps <n>', 'of a search on the supernet', integer('steps', 1), 300)
    .option('--finalists <n>', 'networks whose accuracy such a search measures', integer('finalists', 1), 8)
    .option('--journal <file>', 'where the search is kept, and goes on from')
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nExample: ofa search --supernet runs/digits --device local-cpu --max-latency-ms 0.2',
    )
    .action(async (options: SearchOptions, self: Command) => {
      if (options.data === undefined) await searchByPredictors(options, self, context);
      else await searchByImages(options, self, context);
    });
};

async function searchByPredictors(options: SearchOptions, self: Command, context: CliContext): Promise<void> {
  const { supernet, objective, pareto, out } = options;
  if (out !== undefined && pareto !== true)
    throw new UsageError('Cannot write a front: --out belongs to --pareto');
  checkSpaceChoice(options);
  if (supernet === undefined && objective === undefined)
    throw new UsageError(
      'Cannot search without a supernet: nothing predicts accuracies, so --objective is wanted, such as macs:max',
    );
  const [{ openRun }, { frontFolder }, { withFolderLock }] = await Promise.all([
    import('../../pipeline/run.js'),
    import('../../pipeline/writeFront.js'),
    import('../../util/lock.js'),
  ]);
  const run = supernet === undefined ? undefined : await openRun(supernet);
  const space = run === undefined ? await chosenSpace(options) : run.space;
  const devices = await openDeviceTables(space, options.device, options.table);
  const opened = { space, devices, ...(run && { run }) };
  if (pareto !== true) return searchOpened(opened, undefined, options, self, context);
  const folder = out ?? frontFolder(run?.folder ?? '.');
  const purpose = { action: 'write a front into', instead: 'give another --out' };
  return withFolderLock(folder, purpose, () => searchOpened(opened, folder, options, self, context));
}

/** Writes the front into `folder` where there is one. */
async function searchOpened(
  opened: Pick<SearchRunRequest, 'run' | 'devices'> & { readonly space: SearchSpace },
  folder: string | undefined,
  options: SearchOptions,
  self: Command,
  context: CliContext,
): Promise<void> {
  const { objective, strategy, budget, pareto, pick, journal, seed } = options;
  const { space, devices } = opened;
  const [{ createRuntime }, { frontFile, searchRun }, { searchText, subnetRow }] = await Promise.all([
    import('../../pipeline/runtime.js'),
    import('../../pipeline/search.js'),
    import('../searchTables.js'),
  ]);
  const runtime = await createRuntime();
  try {
    const result = await searchRun({
      ...opened,
      engine: runtime.inference,
      limits: limitsOf(options),
      seed,
      logger: await context.logger(),
      ...(objective === undefined ? {} : { objectives: objective }),
      ...(pareto === undefined ? {} : { pareto }),
      ...(pick === undefined ? {} : { pick }),
      ...(strategy === undefined ? {} : { strategy }),
      ...(budget === undefined ? {} : { budget }),
      ...(journal === undefined ? {} : { journal, signal: context.signal }),
    });
    const row = (found: typeof result.best) => subnetRow(found, devices[0]?.name);
    const { evaluated, best, front, picked } = result;
    let files: Record<string, string> = {};
    if (folder !== undefined) {
      const { writeFront } = await import('../../pipeline/writeFront.js');
      files = { ...(await writeFront(folder, frontFile({ space, seed }, result))) };
    }
    const document = {
      strategy: result.strategy,
      evaluated,
      best: row(best),
      ...(picked && { picked }),
      ...(result.leftOut.length > 0 && { leftOut: result.leftOut }),
      ...(pareto === true && { front: front.map(row), files }),
    };
    context.result(self, document, () => searchText(result, Object.values(files)));
  } finally {
    await runtime.dispose();
  }
}

function limitsOf({ maxLatencyMs, maxMacs, maxParams, limit: others = [] }: SearchOptions): SearchLimit[] {
  const short = [
    ['latencyMs', maxLatencyMs],
    ['macs', maxMacs],
    ['params', maxParams],
  ] as const;
  return [
    ...short.flatMap(([quantity, value]) => (value === undefined ? [] : [{ quantity, limit: value }])),
    ...others,
  ];
}

/** On the supernet itself. */
async function searchByImages(options: SearchOptions, self: Command, context: CliContext): Promise<void> {
  const {
    data,
    supernet,
    device = [],
    table = [],
    objective,
    limit: limits,
    pareto,
    pick,
    out,
    ...rest
  } = options;
  const [name, ...others] = device;
  if (name === undefined || others.length > 0) {
    throw new UsageError(`Cannot search on images: one --device is wanted: there are ${device.length}`);
  }
  const notThere = { objective, limit: limits, pareto, pick, out };
  const odd = Object.entries(notThere).find(([, value]) => value !== undefined);
  if (odd !== undefined) throw new UsageError(`Cannot search on images: --${odd[0]} does not go with --data`);
  checkSpaceChoice(options);
  if (supernet === undefined)
    throw new UsageError('Cannot search on images: --supernet is wanted, which --space does not replace');
  const { searchOnSupernet } = await import('./searchPaths.js');
  await searchOnSupernet(
    { ...rest, supernet, data: data!, device: name, ...(table[0] === undefined ? {} : { table: table[0] }) },
    self,
    context,
  );
}
