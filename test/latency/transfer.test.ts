import { mean } from 'simple-statistics';
import { describe, expect, it } from 'vitest';
import { predictorContext } from '../../src/latency/context.js';
import { fitPredictor } from '../../src/latency/crossValidation.js';
import { evaluateLatency } from '../../src/latency/evaluate.js';
import { fitGeneWeights } from '../../src/latency/geneRidge.js';
import { chooseInformativeSubnets } from '../../src/latency/subnets.js';
import { chooseInformative, fitTransfer, transferMs, type TransferRow } from '../../src/latency/transfer.js';
import { distilSource, transferPredictor } from '../../src/latency/transferPredictor.js';
import { architectureKey } from '../../src/space/canonical.js';
import { loadSpace } from '../../src/space/presets.js';
import { createRandom } from '../../src/util/random.js';
import { readHelp } from '../support/help.js';
import { sharedData } from '../support/sharedData.js';
import { networkTruthMs, tiny } from './world.js';

/** Rows of two parts beside the level. */
function worldOf(count: number, seed: number): TransferRow[] {
  const random = createRandom('transfer rows', seed);
  return Array.from({ length: count }, () => ({
    offset: random.normal(),
    parts: [10, random.normal(), 0.3 * random.normal()],
  }));
}

describe('fitTransfer', () => {
  it('finds the weights that made the latencies, from ten of them', () => {
    const rows = worldOf(10, 1);
    const truth = [0.2, -0.7, 0.9];
    const fitted = fitTransfer(
      rows,
      rows.map((row) => transferMs(row, truth)),
    );
    for (const row of worldOf(50, 2))
      expect(transferMs(row, fitted) / transferMs(row, truth)).toBeCloseTo(1, 1);
  });

  it('lets one measurement that is far off count for little', () => {
    const rows = worldOf(12, 3);
    const truth = [0.2, -0.7, 0.9];
    const measured = rows.map((row) => transferMs(row, truth));
    const spoiled = measured.map((ms, i) => (i === 4 ? 3 * ms : ms));
    const fitted = fitTransfer(rows, spoiled);
    const errors = worldOf(50, 2).map((row) =>
      Math.abs(transferMs(row, fitted) / transferMs(row, truth) - 1),
    );
    expect(mean(errors)).toBeLessThan(0.05);
  });
});

describe('chooseInformative', () => {
  it('takes the first that leaves the least variance, by brute force', () => {
    const rows = worldOf(40, 5);
    const [first] = chooseInformative(rows, 1);
    // Posterior variance of all rows after one measurement of noise 0.05, prior covariance 1.
    const dot = (a: readonly number[], b: readonly number[]): number =>
      a.reduce((s, v, i) => s + v * b[i]!, 0);
    const left = rows.map(({ parts: x }) =>
      rows.reduce((sum, { parts: z }) => sum + dot(z, z) - dot(z, x) ** 2 / (dot(x, x) + 0.05 ** 2), 0),
    );
    expect(first).toBe(left.indexOf(Math.min(...left)));
  });

  it('continues its choice when more are wanted, and takes none twice', () => {
    const rows = worldOf(30, 6);
    const many = chooseInformative(rows, 30);
    expect(new Set(many).size).toBe(30);
    expect(chooseInformative(rows, 12)).toEqual(many.slice(0, 12));
    expect(chooseInformative(rows, 50)).toHaveLength(30);
  });
});

describe('chooseInformativeSubnets', () => {
  it('leaves out what is taken, and needs to know a device', () => {
    const bare = predictorContext({ space: tiny });
    expect(() => chooseInformativeSubnets(tiny.genes, bare, 3, 0)).toThrow('the latency table knows of none');
    const examples = chooseInformativeSubnetsOf(30);
    const keys = examples.map((arch) => architectureKey(tiny.genes, arch));
    expect(new Set(keys).size).toBe(30);
    const others = chooseInformativeSubnetsOf(10, new Set(keys.slice(0, 5)));
    for (const arch of others) expect(keys.slice(0, 5)).not.toContain(architectureKey(tiny.genes, arch));
  });
});

function chooseInformativeSubnetsOf(count: number, taken?: ReadonlySet<string>) {
  const source = distilSource('known', tiny, {
    name: 'truth',
    crossValidatedMape: null,
    predict: (arch) => ({ latencyMs: networkTruthMs(tiny, arch, 0), intervalMs: null }),
    state: () => null,
  });
  // A rule on choices says nearly what the device does.
  expect(source.weights.coefficients.some((value) => value !== 0)).toBe(true);
  return chooseInformativeSubnets(
    tiny.genes,
    predictorContext({ space: tiny, sources: [source] }),
    count,
    0,
    taken,
  );
}

const help = sharedData('help-ofa-latency.csv');

describe.skipIf(help === undefined)('12 real GPU settings (HELP)', () => {
  it('are ranked from 10 measurements as from thousands, each GPU unknown at every batch size', async () => {
    const space = await loadSpace('ofa-mbv3');
    const { settings, networks } = readHelp(help!);
    const all = predictorContext({ space });
    const list = networks.slice(0, 3000);
    const known = settings.map((device, s) => ({
      device,
      weights: fitGeneWeights(
        list
          .slice(0, 900)
          .map(({ architecture, latenciesMs }) => ({ architecture, latencyMs: latenciesMs[s]! })),
        all,
        [0.003],
      ),
    }));
    const gpu = (setting: string): string => setting.replace(/_\d+$/, '');
    const rho: number[] = [];
    const covered: number[] = [];
    settings.forEach((setting, s) => {
      const sources = known.filter(({ device }) => gpu(device) !== gpu(setting));
      const context = predictorContext({ space, sources });
      for (const draw of [0]) {
        const ten = createRandom('ten', setting, draw).shuffle(list.slice(0, 2600)).slice(0, 10);
        const predictor = fitPredictor(
          transferPredictor,
          ten.map(({ architecture, latenciesMs }) => ({ architecture, latencyMs: latenciesMs[s]! })),
          context,
        );
        const answers = list.slice(2600).map(({ architecture }) => predictor.predict(architecture));
        const { spearman, coveredPercent } = evaluateLatency(
          answers.map(({ latencyMs }) => latencyMs),
          list.slice(2600).map(({ latenciesMs }) => latenciesMs[s]!),
          answers.map(({ intervalMs }) => intervalMs),
        );
        rho.push(spearman!);
        covered.push(coveredPercent!);
      }
    });
    // A regression on six features gives .863; 4000 measurements of the device itself give .92.
    expect(mean(rho)).toBeGreaterThan(0.885);
    expect(mean(covered)).toBeGreaterThan(85);
    expect(mean(covered)).toBeLessThan(96);
  });
});
