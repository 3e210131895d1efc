import type { Command } from 'commander';
import type { SearchConstraints } from '../../search/search.js';
import { formatRows } from '../console.js';
import { integer, number, percent, seedOption, type Register } from '../context.js';

interface SearchOptions {
  readonly supernet: string;
  readonly device: string;
  readonly maxLatencyMs?: number;
  readonly maxMacs?: number;
  readonly maxParams?: number;
  readonly strategy?: string;
  readonly budget?: number;
  readonly table?: string;
  readonly pareto?: boolean;
  readonly data?: string;
  readonly steps: number;
  readonly finalists: number;
  readonly journal?: string;
  readonly seed: number;
}

export const search: Register = (program, context) => {
  program
    .command('search')
    .description('the most accurate subnet within limits, by predictors alone')
    .requiredOption('--supernet <run>', 'folder of a run with a fitted accuracy predictor')
    .requiredOption('--device <name>', 'device whose latency table predicts')
    .option('--max-latency-ms <ms>', 'latency limit', number('max-latency-ms', { above: 0 }))
    .option('--max-macs <n>', 'limit of multiply-accumulates', number('max-macs', { above: 0 }))
    .option('--max-params <n>', 'limit of parameters', number('max-params', { above: 0 }))
    .option(
      '--strategy <name>',
      'how networks are proposed (default: exhaustive where the space is small, else evolution)',
    )
    .option('--budget <n>', 'accuracy predictions to spend', integer('budget', 1))
    .option('--table <file>', "the device's latency table")
    .option('--pareto', 'print the whole front of accuracy and latency')
    .option('--data <data>', 'with --strategy differentiable: search on the supernet itself, on these images')
    .option('--steps <n>', 'of a search on the supernet', integer('steps', 1), 300)
    .option('--finalists <n>', 'networks whose accuracy such a search measures', integer('finalists', 1), 8)
    .option('--journal <file>', 'where such a search is kept, and goes on from')
    .addOption(seedOption())
    .addHelpText(
      'after',
      '\nExample: ofa search --supernet runs/digits --device local-cpu --max-latency-ms 0.2',
    )
    .action(async (options: SearchOptions, self: Command) => {
      if (options.data !== undefined) {
        const { searchOnSupernet } = await import('./searchPaths.js');
        await searchOnSupernet(options, self, context);
        return;
      }
      const [
        { openRun },
        { createRuntime },
        { openAccuracyPredictor },
        { findTable },
        { latencyFunction, openLatencyTable },
        { search: run },
        predictors,
        { toFile },
        { networkCosts },
      ] = await Promise.all([
        import('../../pipeline/run.js'),
        import('../../pipeline/runtime.js'),
        import('../../pipeline/accuracy.js'),
        import('../../pipeline/measure.js'),
        import('../../latency/query.js'),
        import('../../search/search.js'),
        import('../../accuracy/predictor.js'),
        import('../../space/architecture.js'),
        import('../../space/costs.js'),
      ]);
      const supernet = await openRun(options.supernet);
      const latency = await openLatencyTable(findTable(options.device, supernet.space.name, options.table));
      latency.checkSpace(supernet.space);
      const runtime = await createRuntime();
      try {
        const predictor = await openAccuracyPredictor(supernet, runtime.inference);
        const limits: { -readonly [K in keyof SearchConstraints]: number } = {};
        if (options.maxLatencyMs !== undefined) limits.latencyMs = options.maxLatencyMs;
        if (options.maxMacs !== undefined) limits.macs = options.maxMacs;
        if (options.maxParams !== undefined) limits.params = options.maxParams;
        const result = await run({
          space: supernet.space,
          predictAccuracy: predictors.accuracyFunction(predictor),
          predictLatencyMs: latencyFunction(latency),
          constraints: limits,
          seed: options.seed,
          engine: runtime.inference,
          ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
          ...(options.budget === undefined ? {} : { budget: options.budget }),
        });
        await predictor.dispose();
        const solution = ({ architecture, accuracy: top1, latencyMs }: (typeof result)['best']) => ({
          predictedTop1: top1,
          predictedMs: latencyMs,
          macs: networkCosts(supernet.space.network(architecture)).macs,
          architecture: toFile(architecture),
        });
        const document = {
          strategy: result.strategy,
          evaluated: result.evaluated,
          best: solution(result.best),
          ...(options.pareto === true ? { front: result.front.map(solution) } : {}),
        };
        context.result(self, document, () => {
          const list = options.pareto === true ? result.front : [result.best];
          const rows = list
            .map(solution)
            .map((s) => [
              percent(s.predictedTop1),
              s.predictedMs?.toFixed(3) ?? '-',
              (s.macs / 1e6).toFixed(2),
              JSON.stringify(s.architecture),
            ]);
          return `${result.strategy}, ${result.evaluated} architectures\n${formatRows(['predicted top-1', 'predicted ms', 'MACs (millions)', 'architecture'], rows)}`;
        });
      } finally {
        await runtime.dispose();
      }
    });
};
