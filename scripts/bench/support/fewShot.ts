/** Few measurements of a new device, on HELP's data: every setting in turn is the device that nothing is known of. */
import { evaluateLatency } from '../../../src/latency/evaluate.js';
import { fitPredictor } from '../../../src/latency/crossValidation.js';
import { predictorContext, type PredictorContext } from '../../../src/latency/context.js';
import { chooseLatencyPredictor } from '../../../src/latency/predictors.js';
import { featureRidgePredictor } from '../../../src/latency/featureRidge.js';
import { fitGeneWeights } from '../../../src/latency/geneRidge.js';
import type { LatencyExample, PredictorDefinition } from '../../../src/latency/predictor.js';
import { chooseInformative } from '../../../src/latency/transfer.js';
import { transferPredictor, transferRows } from '../../../src/latency/transferPredictor.js';
import type { TransferSource } from '../../../src/latency/transferSource.js';
import type { SearchSpace } from '../../../src/space/space.js';
import { createRandom } from '../../../src/util/random.js';
import { readHelp } from '../../../test/support/help.js';

export interface FewShotRow {
  readonly method: string;
  /** Which devices are known: every other GPU, every other setting (GPU and batch size), or none. */
  readonly known: 'other GPUs' | 'other settings' | 'none';
  readonly samples: number;
  readonly choice: 'random' | 'chosen';
  /** Without the fastest and the slowest tenth, as HELP evaluates. */
  readonly trimmed: boolean;
  /** The predictor that queries of a table would use, in place of `transfer`. */
  readonly queries?: boolean;
  /** Means over settings and draws. */
  readonly spearman: number;
  readonly mape: number;
  readonly within10Percent: number;
  readonly coveredPercent: number;
  readonly bySetting: Readonly<Record<string, number>>;
}

/** Networks that sources were measured on and samples are drawn from; the others are asked. As in HELP's loader. */
const KNOWN = 4000;
const CANDIDATES = 400;

const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
const gpuOf = (setting: string): string => setting.replace(/_\d+$/, '');

/** Without the lowest and the highest tenth. */
function trim(list: readonly LatencyExample[]): LatencyExample[] {
  const sorted = [...list].sort((a, b) => a.latencyMs - b.latencyMs);
  return sorted.slice(Math.floor(0.1 * list.length), Math.floor(0.9 * list.length));
}

export class FewShotBench {
  readonly settings: readonly string[];
  /** Measured latencies of every setting, in the networks' order. */
  private readonly examples: readonly (readonly LatencyExample[])[];
  private readonly known: readonly TransferSource[];
  private readonly contexts = new Map<string, PredictorContext>();

  constructor(
    private readonly space: SearchSpace,
    path: string,
  ) {
    const { settings, networks } = readHelp(path);
    const shared = predictorContext({ space });
    this.settings = settings;
    this.examples = settings.map((_, s) =>
      networks.map(({ architecture, latenciesMs }) => ({ architecture, latencyMs: latenciesMs[s]! })),
    );
    this.known = settings.map((device, s) => ({
      device,
      weights: fitGeneWeights(this.examples[s]!.slice(0, KNOWN), shared, [0.003]),
    }));
  }

  private context(setting: string, known: FewShotRow['known']): PredictorContext {
    const name = `${known} ${setting}`;
    let context = this.contexts.get(name);
    if (context === undefined) {
      const sources = this.known.filter(({ device }) =>
        known === 'other GPUs'
          ? gpuOf(device) !== gpuOf(setting)
          : known === 'other settings' && device !== setting,
      );
      this.contexts.set(name, (context = predictorContext({ space: this.space, sources })));
    }
    return context;
  }

  run(
    request: Pick<FewShotRow, 'known' | 'samples' | 'choice' | 'trimmed' | 'queries'>,
    draws: number,
  ): FewShotRow {
    const { known, samples, choice, trimmed, queries = false } = request;
    const definition: PredictorDefinition = known === 'none' ? featureRidgePredictor : transferPredictor;
    const all: { setting: string; errors: ReturnType<typeof evaluateLatency> }[] = [];
    this.settings.forEach((setting, s) => {
      const context = this.context(setting, known);
      const list = this.examples[s]!;
      const pool = trimmed ? trim(list.slice(0, KNOWN)) : list.slice(0, KNOWN);
      const asked = trimmed ? trim(list.slice(KNOWN)) : list.slice(KNOWN);
      for (let draw = 0; draw < draws; draw++) {
        const shuffled = createRandom('few-shot', setting, draw).shuffle(pool);
        const row = choice === 'chosen' ? transferRows(context) : undefined;
        const candidates = shuffled.slice(0, CANDIDATES);
        const taken =
          row === undefined
            ? shuffled.slice(0, samples)
            : chooseInformative(
                candidates.map(({ architecture }) => row(architecture)),
                samples,
              ).map((i) => candidates[i]!);
        const predictor = queries
          ? chooseLatencyPredictor(taken, context)
          : fitPredictor(definition, taken, context);
        const answers = asked.map(({ architecture }) => predictor.predict(architecture));
        const errors = evaluateLatency(
          answers.map(({ latencyMs }) => latencyMs),
          asked.map(({ latencyMs }) => latencyMs),
          answers.map(({ intervalMs }) => intervalMs),
        );
        all.push({ setting, errors });
      }
    });
    const average = (value: (errors: ReturnType<typeof evaluateLatency>) => number, of = all): number =>
      mean(of.map(({ errors }) => value(errors)));
    return {
      method: queries ? 'that of queries' : definition.name,
      ...request,
      spearman: average(({ spearman }) => spearman!),
      mape: average(({ mape }) => mape),
      within10Percent: average(({ within10Percent }) => within10Percent),
      coveredPercent: average(({ coveredPercent }) => coveredPercent!),
      bySetting: Object.fromEntries(
        this.settings.map((setting) => [
          setting,
          average(
            ({ spearman }) => spearman!,
            all.filter((one) => one.setting === setting),
          ),
        ]),
      ),
    };
  }

  /** Ceiling: the same networks asked, thousands of the setting's own measurements. */
  ceiling(): { readonly spearman: number; readonly mape: number } {
    const errors = this.settings.map((_, s) => {
      const context = predictorContext({ space: this.space, sources: [this.known[s]!] });
      const asked = this.examples[s]!.slice(KNOWN);
      return evaluateLatency(
        asked.map(({ architecture }) => {
          const { intercept, coefficients } = this.known[s]!.weights;
          const { genes } = context.facts(architecture);
          return coefficients.reduce((sum, c, i) => sum + c * genes[i]!, intercept);
        }),
        asked.map(({ latencyMs }) => latencyMs),
      );
    });
    return { spearman: mean(errors.map((e) => e.spearman!)), mape: mean(errors.map((e) => e.mape)) };
  }

  /**
   * The most costly network (in MACs) that is predicted within each limit, and what it takes: HELP's own figure for these
   * data is of this kind. Means over draws of 10 chosen samples.
   */
  limits(
    setting: string,
    limitsMs: readonly number[],
    draws: number,
  ): { limitMs: number; measuredMs: number }[] {
    const context = this.context(setting, 'other GPUs');
    const list = this.examples[this.settings.indexOf(setting)]!;
    const row = transferRows(context);
    const found = limitsMs.map((): number[] => []);
    for (let draw = 0; draw < draws; draw++) {
      const candidates = createRandom('limits', draw).shuffle(list.slice(0, KNOWN)).slice(0, CANDIDATES);
      const rows = candidates.map(({ architecture }) => row(architecture));
      const taken = chooseInformative(rows, 10).map((i) => candidates[i]!);
      const predictor = fitPredictor(transferPredictor, taken, context);
      const asked = list.slice(KNOWN).map((example) => ({
        ...example,
        predictedMs: predictor.predict(example.architecture).latencyMs,
        macs: context.facts(example.architecture).features.macs,
      }));
      limitsMs.forEach((limitMs, l) => {
        const within = asked.filter(({ predictedMs }) => predictedMs <= limitMs);
        within.sort((a, b) => b.macs - a.macs);
        if (within[0] !== undefined) found[l]!.push(within[0].latencyMs);
      });
    }
    return limitsMs.map((limitMs, l) => ({ limitMs, measuredMs: mean(found[l]!) }));
  }
}
