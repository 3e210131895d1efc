/** A run, its images and a runtime, opened together and closed whatever happens. */
import type { Loader } from '../data/loader.js';
import type { EvaluationSettings, SubnetEvaluator } from '../training/evaluator.js';
import type { Logger } from '../util/logger.js';
import type { EngineName, Provider } from './engineName.js';
import { createEvaluator, fittingLoader, openRun, type SupernetRun } from './run.js';
import { openRunData, type RunDataOptions, type RunDataset } from './runData.js';
import { createRuntime, type Runtime } from './runtime.js';

export interface WorkOptions {
  readonly engine?: EngineName | undefined;
  readonly provider?: Provider | undefined;
  /** Of an operator; the processors of this process unless given. */
  readonly threads?: number | undefined;
  readonly logger?: Logger | undefined;
}

/** A runtime for as long as `work` takes. Throws as `createRuntime`, and what `work` throws. */
export async function withRuntime<T>(
  { engine, provider, threads, logger }: WorkOptions,
  work: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await createRuntime({
    ...(engine === undefined ? {} : { engine }),
    ...(provider === undefined ? {} : { provider }),
    ...(threads === undefined ? {} : { threads }),
    ...(logger === undefined ? {} : { logger }),
  });
  try {
    return await work(runtime);
  } finally {
    await runtime.dispose();
  }
}

/** A loader for as long as `work` takes. */
export async function withLoader<T>(
  opening: Promise<Loader>,
  work: (loader: Loader) => Promise<T>,
): Promise<T> {
  const loader = await opening;
  try {
    return await work(loader);
  } finally {
    await loader.close();
  }
}

export interface RunOptions extends WorkOptions, Omit<RunDataOptions, 'logger'> {
  readonly calibrationImages?: number | undefined;
}

export interface OpenedRun {
  readonly run: SupernetRun;
  /** What the loader's images are from, with the key of accuracies on them. */
  readonly data: RunDataset;
  readonly loader: Loader;
  readonly runtime: Runtime;
  /** Scores its subnets. */
  readonly evaluator: SubnetEvaluator;
}

/**
 * Opens what scoring subnets of a run takes; `run`: its folder, or one that is open. The data are as the run sees them
 * (`openRunDataset`). Throws UserError where there is no supernet, no data set, or the data do not fit it; and what `work`
 * throws.
 */
export async function withRun<T>(
  run: string | SupernetRun,
  options: RunOptions,
  work: (opened: OpenedRun) => Promise<T>,
): Promise<T> {
  const opened = typeof run === 'string' ? await openRun(run) : run;
  const { logger, calibrationImages } = options;
  const settings: Partial<EvaluationSettings> = calibrationImages === undefined ? {} : { calibrationImages };
  const loading = { batchSize: 1, seed: 0, ...(logger === undefined ? {} : { logger }) };
  return withRuntime(options, async (runtime) => {
    const data = await openRunData(opened, options);
    return withLoader(fittingLoader(opened.space, data.dataset, loading), (loader) => {
      const evaluator = createEvaluator(opened, loader, runtime, settings);
      return work({ run: opened, data, loader, runtime, evaluator });
    });
  });
}
