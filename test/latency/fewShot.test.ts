/** A new device from 10 to 30 networks and one or more known devices: which predictor is taken, and what its intervals hold. */
import { mean } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { predictorContext } from '../../src/latency/context.js';
import { relativeWidth } from '../../src/latency/crossValidation.js';
import { evaluateLatency } from '../../src/latency/evaluate.js';
import { fitGeneWeights } from '../../src/latency/geneRidge.js';
import type { LatencyExample } from '../../src/latency/predictor.js';
import { chooseLatencyPredictor } from '../../src/latency/predictors.js';
import { openLatencyTable } from '../../src/latency/query.js';
import { tablePath } from '../../src/latency/table.js';
import { chooseInformative } from '../../src/latency/transfer.js';
import { transferRows } from '../../src/latency/transferPredictor.js';
import type { TransferSource } from '../../src/latency/transferSource.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import type { SearchSpace } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { readHelp } from '../support/help.js';
import { sharedData } from '../support/sharedData.js';
import { shippedSpace } from '../support/spaces.js';
import { madeUpDevice, tiny } from './world.js';

interface Outcome {
  readonly name: string;
  readonly mape: number;
  readonly coveredPercent: number;
}

/** `count` networks of the candidates are measured, as `ofa measure --few-shot` chooses them; what queries say of `asked`. */
function fewShot(
  space: SearchSpace,
  sources: readonly TransferSource[],
  candidates: readonly LatencyExample[],
  asked: readonly LatencyExample[],
  count: number,
): Outcome {
  const context = predictorContext({ space, sources });
  const row = transferRows(context);
  const rows = candidates.map(({ architecture }) => row(architecture));
  const predictor = chooseLatencyPredictor(
    chooseInformative(rows, count).map((i) => candidates[i]!),
    context,
  );
  const answers = asked.map(({ architecture }) => predictor.predict(architecture));
  const { mape, coveredPercent } = evaluateLatency(
    answers.map(({ latencyMs }) => latencyMs),
    asked.map(({ latencyMs }) => latencyMs),
    answers.map(({ intervalMs }) => intervalMs),
  );
  return { name: predictor.name, mape, coveredPercent: coveredPercent! };
}

const shared = predictorContext({ space: tiny });
const draw = createRandom('few-shot networks');
const pool = Array.from({ length: 400 }, () => sampleArchitecture(tiny.genes, draw));
const asked = Array.from({ length: 200 }, () => sampleArchitecture(tiny.genes, draw));
const NOISE = [0.005, 0.01, 0.02, 0.04];

/** Every device by what one other does. */
function outcomes(count: number, devices = 8, draws = 2): Outcome[][] {
  return Array.from({ length: devices }, (_, d) => {
    const [known, own] = [madeUpDevice(tiny, 2 * d), madeUpDevice(tiny, 2 * d + 1)];
    const measured = (archs: readonly Architecture[]): LatencyExample[] =>
      archs.map((architecture) => {
        const noise = createRandom('noise', d, architectureKey(tiny.genes, architecture)).normal();
        return { architecture, latencyMs: own(architecture) * (1 + NOISE[d % NOISE.length]! * noise) };
      });
    const source = {
      device: 'known',
      weights: fitGeneWeights(
        pool.map((architecture) => ({ architecture, latencyMs: known(architecture) })),
        shared,
        [1e-5, 1e-3],
      ),
    };
    const all = measured(pool);
    return Array.from({ length: draws }, (__, i) =>
      fewShot(tiny, [source], createRandom('draw', d, i).shuffle(all).slice(0, 200), measured(asked), count),
    );
  });
}

describe('a device from few networks', () => {
  it.each([10, 20, 30])('and another device: %d of them carry predictor and intervals', (count) => {
    const devices = outcomes(count);
    const all = devices.flat();
    expect(mean(all.map(({ coveredPercent }) => coveredPercent))).toBeGreaterThanOrEqual(85);
    expect(mean(all.map(({ coveredPercent }) => coveredPercent))).toBeLessThanOrEqual(95);
    for (const own of devices)
      expect(mean(own.map(({ coveredPercent }) => coveredPercent))).toBeGreaterThan(70);
    // What is known of another device is left only for good reason.
    expect(all.filter(({ name }) => name !== 'transfer').length).toBeLessThanOrEqual(1);
    expect(mean(all.map(({ mape }) => mape))).toBeLessThan(count === 10 ? 3 : 2.5);
  });

  it('that is a phone, by two made-up devices', async () => {
    const query = await openLatencyTable(tablePath('note10', 'ofa-mbv3'));
    const { space } = query;
    const random = createRandom('phone');
    const archs = Array.from({ length: 250 }, () => sampleArchitecture(space.genes, random));
    const phone = archs.map((architecture) => ({
      architecture,
      latencyMs: query.architecture(architecture).latencyMs * (1 + 0.02 * random.normal()),
    }));
    const context = predictorContext({ space });
    const sources = [100, 101].map((seed) => {
      const ms = madeUpDevice(space, seed);
      const known = archs.map((architecture) => ({ architecture, latencyMs: ms(architecture) }));
      return { device: `made up ${seed}`, weights: fitGeneWeights(known, context, [1e-5, 1e-3]) };
    });
    const covered = [0, 1, 2].flatMap((i) =>
      [10, 20].map((count) => {
        const shuffled = createRandom('phone', i).shuffle(phone);
        return fewShot(space, sources, shuffled.slice(0, 120), shuffled.slice(120), count).coveredPercent;
      }),
    );
    // A sum of blocks is what these sources are as well: errors are largest at the networks that are chosen to be measured.
    expect(mean(covered)).toBeGreaterThanOrEqual(85);
  });
});

const help = sharedData('help-ofa-latency.csv');

describe.skipIf(help === undefined)('twelve settings of four GPUs (HELP)', () => {
  it('from 10 and 20 networks and the other GPUs: intervals hold 85 to 95 %', () => {
    const space = shippedSpace('ofa-mbv3');
    const { settings, networks } = readHelp(help!);
    const context = predictorContext({ space });
    const gpuOf = (setting: string): string => setting.replace(/_\d+$/, '');
    const examples = settings.map((_, s) =>
      networks
        .slice(0, 1500)
        .map(({ architecture, latenciesMs }) => ({ architecture, latencyMs: latenciesMs[s]! })),
    );
    const known = settings.map((device, s) => ({
      device,
      weights: fitGeneWeights(examples[s]!.slice(0, 1000), context, [0.003]),
    }));
    for (const count of [10, 20]) {
      const covered = settings.map((setting, s) => {
        const sources = known.filter(({ device }) => gpuOf(device) !== gpuOf(setting));
        const own = createRandom('help', setting).shuffle(examples[s]!.slice(0, 1000));
        return fewShot(space, sources, own.slice(0, 200), examples[s]!.slice(1000, 1250), count);
      });
      const all = covered.map(({ coveredPercent }) => coveredPercent);
      expect(mean(all)).toBeGreaterThanOrEqual(85);
      expect(mean(all)).toBeLessThanOrEqual(95);
    }
  });
});

describe('the width of an interval', () => {
  it('is from few examples that of a prediction of normal errors', () => {
    const measured = [1.02, 0.99, 1.01, 0.96, 1.03];
    const square = mean(measured.map((ms) => (ms - 1) ** 2));
    // t of 4 degrees of freedom that nine in ten are within.
    expect(
      relativeWidth(
        measured.map(() => 1),
        measured,
      ),
    ).toBeCloseTo(2.131847 * Math.sqrt(square * 1.2), 5);
  });

  it('grows where only two are known, and is not known of none', () => {
    expect(relativeWidth([1, 1], [1.1, 0.8])!).toBeGreaterThan(0.9);
    expect(relativeWidth([], [])).toBeNull();
  });

  it('is a quantile where there are many', () => {
    const errors = Array.from({ length: 99 }, (_, i) => 1 + (i + 1) / 1000);
    expect(
      relativeWidth(
        errors.map(() => 1),
        errors,
      ),
    ).toBeCloseTo(0.09, 12);
  });
});
