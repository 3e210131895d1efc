/**
 * The whole loop on a small data set: train, measure this machine, sample accuracies, fit predictors, search, export,
 * report. Every figure of its summary was measured in the run, on data that what it judges was not fitted on. Each
 * stage goes on where an interrupted run stopped.
 */
import { join } from 'node:path';
import { quantileSorted } from 'simple-statistics';
import { accuracyFunction } from '../accuracy/predictor.js';
import { openDevice } from '../device/profile.js';
import { protocolByName } from '../device/protocol.js';
import { latencyFunction, LatencyQuery } from '../latency/query.js';
import { validateTable } from '../latency/validate.js';
import { rememberByKey } from '../search/quantity.js';
import { search } from '../search/search.js';
import { countNetworks } from '../space/enumerate.js';
import { loadSpace } from '../space/presets.js';
import type { SearchSpace } from '../space/space.js';
import { scheduleSchema } from '../training/schedule.js';
import { Elapsed } from '../util/elapsed.js';
import { UserError } from '../util/errors.js';
import { fractionStandardError } from '../util/standardError.js';
import { writeJson } from '../util/files.js';
import { withFolderLock } from '../util/lock.js';
import type { Logger } from '../util/logger.js';
import { fitAccuracy, sampleRunAccuracies } from './accuracy.js';
import { measure } from './measure.js';
import { createEvaluator, fittingLoader, openRun } from './run.js';
import { openRunData } from './runData.js';
import { createRuntime } from './runtime.js';
import { largestDifference, type SpecializedModel } from './specialization.js';
import { specializeAlone } from './specialize.js';
import { train } from './train.js';
import { checkSubnets, writeQuickstartReport } from './quickstartReport.js';
import {
  QUICKSTART,
  type MeasuredBoth,
  type QuickstartSettings,
  type QuickstartSummary,
} from './quickstartSettings.js';

export interface QuickstartRequest {
  readonly folder: string;
  readonly settings?: Partial<QuickstartSettings>;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
  readonly threads?: number;
}

/** Throws InterruptedError on `signal` after saving (the same call goes on), UserError where another process writes there. */
export function quickstart(request: QuickstartRequest): Promise<QuickstartSummary> {
  const purpose = { action: 'work in', instead: 'give another --out' };
  return withFolderLock(request.folder, purpose, () => quickstartAlone(request));
}

/** With the folder's lock. */
async function quickstartAlone(request: QuickstartRequest): Promise<QuickstartSummary> {
  const { folder, logger, signal } = request;
  const settings = { ...QUICKSTART, ...request.settings };
  const { seed, calibrationImages } = settings;
  const time = await Elapsed.open(join(folder, 'elapsed.json'));
  const interruptible = signal === undefined ? {} : { signal };
  const threads = request.threads === undefined ? {} : { threads: request.threads };
  const evaluation = {
    calibrationImages,
    calibrationBatch: Math.min(100, calibrationImages),
    evaluationBatch: 250,
  };

  const space = await loadSpace(settings.space);
  const runFolder = join(folder, 'supernet');
  logger.info(
    `1. Training one supernet that holds ${countNetworks(space.genes)} networks (${settings.space} on ${settings.data})`,
  );
  await time.count('training', () =>
    train({
      space,
      data: settings.data,
      schedule: scheduleSchema.parse(settings.schedule),
      folder: runFolder,
      seed,
      epochsScale: settings.epochsScale,
      validateEveryEpochs: Number.MAX_SAFE_INTEGER,
      evaluation,
      logger,
      ...interruptible,
      ...threads,
    }),
  );

  const device = await openDevice(settings.device, logger);
  logger.info(`2. Measuring every block of these networks on this machine (${device.description})`);
  const { table, failures } = await time.count('measuring', () =>
    measure({
      space,
      device,
      protocol: protocolByName('quick'),
      path: join(folder, 'latency-table.json'),
      whole: settings.whole.check,
      fit: settings.whole.fit,
      seed,
      logger,
      ...interruptible,
    }),
  );
  for (const [key, reason] of failures) logger.warn(`${key} was not measured: ${reason}`);
  const query = new LatencyQuery(table);
  const latency = validateTable(table);
  logger.info(
    `   Predicted latency is ${latency.errors.mape.toFixed(1)} % off on average, on ${latency.errors.count} whole networks it never saw`,
  );

  return time.count('choosing', async () => {
    const run = await openRun(runFolder);
    const data = await openRunData(run, { logger });
    const loader = await fittingLoader(space, data.dataset, { batchSize: 64, seed, logger });
    const runtime = await createRuntime(threads);
    try {
      const evaluator = createEvaluator(run, loader, runtime, evaluation);
      const { fit, heldOut } = settings.samples;
      logger.info(`3. Measuring the accuracy of ${fit + heldOut} random networks on validation images`);
      await sampleRunAccuracies({
        run,
        data,
        evaluator,
        runtime,
        count: fit + heldOut,
        seed,
        logger,
        ...interruptible,
      });
      const accuracy = await fitAccuracy({
        run,
        engine: runtime.inference,
        predictor: 'mlp',
        heldOut,
        seed,
        logger,
        ...interruptible,
      });
      logger.info(
        `   Predicted accuracy ranks ${heldOut} networks it never saw with Kendall tau ${accuracy.score.kendallTau.toFixed(2)} ± ${accuracy.standardErrors.kendallTau.toFixed(2)}, ` +
          `${accuracy.score.rmse.toFixed(2)} points off`,
      );

      const predictAccuracy = rememberByKey(space.genes, accuracyFunction(accuracy.predictor));
      const predictLatencyMs = rememberByKey(space.genes, latencyFunction(query));
      const limits = chooseLimits(
        table.wholeSubnets.map(({ latencyMs }) => latencyMs),
        settings.limitQuantiles,
      );
      logger.info(`4. Searching the best network under ${limits.join(', ')} ms, and exporting each as ONNX`);
      const { models } = await specializeAlone({
        run,
        loader,
        evaluator,
        predictAccuracy,
        targets: [{ device, latency: query, predictLatencyMs, maxLatencyMs: limits }],
        protocol: protocolByName('quick'),
        folder,
        seed,
        logger,
        ...interruptible,
      });
      const measured: MeasuredBoth[] = [];
      for (const subnet of checkSubnets(query)) {
        const { top1 } = await evaluator.evaluate(subnet.architecture, 'validation');
        measured.push({ ...subnet, top1 });
      }
      const { front } = await search({
        space,
        predictAccuracy,
        predictLatencyMs,
        seed,
      });
      const [largest, smallest] = [
        await evaluator.evaluate(space.largest, 'test'),
        await evaluator.evaluate(space.smallest, 'test'),
      ];
      const summary: QuickstartSummary = {
        supernet: {
          space: space.name,
          subnets: subnetCount(space),
          bestTop1: largest.top1,
          bestTop1StandardError: fractionStandardError(largest.top1, largest.count),
          smallestTop1: smallest.top1,
          smallestTop1StandardError: fractionStandardError(smallest.top1, smallest.count),
          seconds: tenths(time.seconds('training')),
        },
        accuracyPredictor: {
          kendallTau: accuracy.score.kendallTau,
          kendallTauStandardError: accuracy.standardErrors.kendallTau,
          rmse: accuracy.score.rmse,
          rmseStandardError: accuracy.standardErrors.rmse,
          heldOut: accuracy.score.n,
        },
        latency: {
          device: device.name,
          mape: latency.errors.mape,
          within10Percent: latency.errors.within10Percent,
          heldOut: latency.errors.count,
        },
        models: models.map(summaryOf),
        seconds: tenths(time.seconds()),
      };
      await writeJson(join(folder, 'summary.json'), summary);
      const splits = {
        train: loader.dataset.splitSize('train'),
        validation: loader.dataset.splitSize('validation'),
        test: loader.dataset.splitSize('test'),
      };
      await writeQuickstartReport({
        folder,
        settings,
        run,
        splits,
        accuracy,
        latency,
        query,
        measured,
        front,
        models,
        summary,
      });
      await accuracy.predictor.dispose();
      logger.info(
        `5. Done in ${Math.round(summary.seconds)} s; the report is ${join(folder, 'report.html')}`,
      );
      return summary;
    } finally {
      await loader.close();
      await runtime.dispose();
    }
  });
}

/** Seconds, to a tenth. */
const tenths = (seconds: number): number => Math.round(10 * seconds) / 10;

function summaryOf({
  verification,
  finalists: _finalists,
  onDevices: _onDevices,
  borrowed: _borrowed,
  ...model
}: SpecializedModel): QuickstartSummary['models'][number] {
  return { ...model, maxAbsDifference: largestDifference(verification) };
}

function subnetCount(space: SearchSpace): number | string {
  const count = countNetworks(space.genes);
  return count <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(count) : `${count}`;
}

/** Limits at quantiles of measured latencies, rounded up to two digits, so that people can read them. */
function chooseLimits(latenciesMs: readonly number[], quantiles: readonly number[]): number[] {
  if (latenciesMs.length === 0)
    throw new UserError('Cannot choose latency limits: no whole subnet was measured');
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  return [
    ...new Set(
      quantiles.map((q) => {
        const value = quantileSorted(sorted, q);
        const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
        return Number((Math.ceil(value / unit) * unit).toPrecision(2));
      }),
    ),
  ];
}
