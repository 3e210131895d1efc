/** Specialising for several devices whose truth is known: what is chosen, against the definition; stopped and gone on with. */
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Loader } from '../../src/data/loader.js';
import { localFingerprint } from '../../src/device/fingerprint.js';
import { summarize, type LatencyMeasurement } from '../../src/device/measurement.js';
import { loadDevice, runtimeSettings, type DeviceProfile } from '../../src/device/profile.js';
import { protocolByName } from '../../src/device/protocol.js';
import type { DeviceConnection } from '../../src/device/transport.js';
import { decodeMetadata } from '../../src/export/metadata.js';
import { verifyModel } from '../../src/export/verify.js';
import { LatencyQuery } from '../../src/latency/query.js';
import { measuredTable, readTable } from '../../src/latency/table.js';
import { readOnnx } from '../../src/lowering/readOnnx.js';
import { FINALISTS_FILE } from '../../src/pipeline/finalistJournal.js';
import { reportFolder } from '../../src/pipeline/report.js';
import { openLoader, openRun, type SupernetRun } from '../../src/pipeline/run.js';
import {
  SPECIALIZATION_FILE,
  specializationFile,
  specializationSchema,
  type Specialization,
} from '../../src/pipeline/specialization.js';
import { writeSpecializationReport } from '../../src/pipeline/specializationReport.js';
import { formatModels, formatSpecialization } from '../../src/cli/specializationTables.js';
import { specialize, type SpecializeRequest } from '../../src/pipeline/specialize.js';
import { fromFile, type Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { extractSubnet } from '../../src/supernet/subnet.js';
import { DEFAULT_EVALUATION } from '../../src/training/evaluator.js';
import { InfeasibleError, InterruptedError, UserError } from '../../src/util/errors.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';
import { createRandom } from '../../src/util/random.js';
import { fewDigits, makeRun, makeTable, space } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';

const path = temporaryFolder();
const keyOf = (arch: Architecture): string => architectureKey(space.genes, arch);
const protocol = protocolByName('quick');

let run: SupernetRun;
let loader: Loader;
let profile: DeviceProfile;
const tables = new Map<string, LatencyQuery>();

/** Each device likes other blocks. */
const tax = (device: string, block: string): number =>
  device === 'here' ? 1 : 0.6 + 1.2 * createRandom('tax', block).float();

beforeAll(async () => {
  await makeRun(path('run'), fewDigits(path('digits')));
  await makeTable(path('table.json'));
  run = await openRun(path('run'));
  loader = await openLoader(run.space, run.data, { batchSize: 8, seed: 0, workers: 0 });
  profile = await loadDevice('local-cpu');
  for (const device of ['here', 'other']) {
    const table = measuredTable(await readTable(path('table.json')));
    for (const [key, entry] of Object.entries(table.entries))
      table.entries[key] = {
        ...entry,
        latencyMs: entry.latencyMs * tax(device, key),
        quietMs: entry.quietMs! * tax(device, key),
      };
    tables.set(device, new LatencyQuery({ ...table, device: { ...table.device, name: device } }, 'table'));
  }
});
afterAll(() => loader.close());

/** Each network is computed once for all tests. */
function remembered(compute: (arch: Architecture) => number): (arch: Architecture) => number {
  const known = new Map<string, number>();
  return (arch) => {
    const key = keyOf(arch);
    let value = known.get(key);
    if (value === undefined) known.set(key, (value = compute(arch)));
    return value;
  };
}

const predictions = new Map(
  ['here', 'other'].map((device) => [
    device,
    remembered((arch) => tables.get(device)!.architecture(arch).latencyMs),
  ]),
);
const predictMs = (device: string, arch: Architecture): number => predictions.get(device)!(arch);

/** Grows with the network, and not only. */
const trueTop1 = remembered((arch) => {
  const { macs } = networkCosts(space.network(arch));
  const noise = createRandom('top-1', keyOf(arch)).float();
  return Math.round(1e4 * (0.6 + 0.1 * Math.log10(macs / 1e4) + 0.02 * noise)) / 1e4;
});
const predictedTop1 = remembered(
  (arch) => trueTop1(arch) + 0.01 * createRandom('predicted', keyOf(arch)).float(),
);

/** `disturbance`: by how much nine of ten samples are longer. */
const measurementOf = (latencyMs: number, slow: boolean, disturbance = 1): LatencyMeasurement =>
  summarize({
    rounds: [
      Array.from({ length: 20 }, (_, i) => ({ wallMs: i % 10 === 0 ? latencyMs : disturbance * latencyMs })),
    ],
    repeats: 1,
    overheadMs: 0,
    quietOverheadMs: 0,
    resolutionMs: 1e-9,
    cpuBound: false,
    warmupRuns: 1,
    firstRunMs: 1,
    sentinelMs: slow ? 3 : 1,
    quietSentinelMs: slow ? 3 : 1,
    redone: 0,
    flags: slow ? ['drift'] : [],
  });

interface Truth {
  /** ms, by how often it was measured on this device before; undefined: the device cannot run it. */
  readonly latencyMs?: (device: string, arch: Architecture, visit: number) => number | undefined;
  /** Whether the machine was slow then. */
  readonly drifted?: (device: string, arch: Architecture, visit: number) => boolean;
  /** See `measurementOf`. */
  readonly disturbance?: (device: string, arch: Architecture, visit: number) => number;
  readonly onMeasured?: (count: number) => void;
}

/** Devices that measure by `truth`, and what they were asked. */
class World {
  readonly measured: string[] = [];
  readonly scored: string[] = [];

  constructor(private readonly truth: Truth = {}) {}

  private connection(device: string): DeviceConnection {
    const { latencyMs = predictMs, drifted = () => false, disturbance, onMeasured } = this.truth;
    return {
      fingerprint: localFingerprint(runtimeSettings(profile)),
      run: async (job, onEvent, signal) => {
        for (const { id, onnx } of job.models) {
          await new Promise((resolve) => setImmediate(resolve));
          if (signal?.aborted) return 'it was stopped';
          onEvent({ type: 'step', id, step: 'load' });
          // The device knows nothing but the file.
          const arch = fromFile(decodeMetadata(readOnnx(onnx).metadata).architecture!);
          const visit = this.measured.filter((word) => word === `${device} ${keyOf(arch)}`).length;
          const ms = latencyMs(device, arch, visit);
          this.measured.push(`${device} ${keyOf(arch)}`);
          if (ms === undefined) onEvent({ type: 'failed', id, reason: 'no kernel for it' });
          else {
            const slow = drifted(device, arch, visit);
            const measurement = measurementOf(slow ? 3 * ms : ms, slow, disturbance?.(device, arch, visit));
            onEvent({ type: 'result', id, measurement });
          }
          onMeasured?.(this.measured.length);
        }
        onEvent({ type: 'done' });
        return undefined;
      },
      close: () => Promise.resolve(),
    };
  }

  request(folder: string, change: Partial<SpecializeRequest> & { limits?: readonly number[] } = {}) {
    const { limits = LIMITS, ...rest } = change;
    const request: SpecializeRequest = {
      run,
      loader,
      evaluator: {
        settings: DEFAULT_EVALUATION,
        // The supernet's own statistics: what they are worth is no matter here.
        calibrate: (arch) => {
          const tensors = extractSubnet(run.weights, space.network(arch));
          return Promise.resolve(new Map([...tensors].filter(([name]) => name.includes('.running'))));
        },
        evaluate: (arch, split) => {
          this.scored.push(`${split} ${keyOf(arch)}`);
          const top1 = split === 'test' ? trueTop1(arch) - 0.01 : trueTop1(arch);
          return Promise.resolve({ top1, top5: 1, loss: 1, count: 100 });
        },
      },
      predictAccuracy: (archs) => archs.map(predictedTop1),
      targets: ['here', 'other'].map((name) => ({
        device: { ...profile, name },
        latency: tables.get(name)!,
        predictLatencyMs: (archs) => archs.map((arch) => predictMs(name, arch)),
        maxLatencyMs: limits,
        connection: this.connection(name),
      })),
      protocol,
      folder,
      strategy: 'random',
      seed: 0,
      logger: silentLogger,
      ...rest,
    };
    return request;
  }
}

const LIMITS = [0.25, 0.4];

/** What must hold of any result, by definition. */
function expectSound({ models }: Specialization): void {
  for (const model of models) {
    const { device, maxLatencyMs, finalists, onDevices, borrowed } = model;
    expect(model.meetsLimit).toBe(model.measuredMs <= maxLatencyMs);
    expect(finalists.filter(({ chosen }) => chosen)).toHaveLength(1);
    for (const { measuredMs, measuredAgainMs, meetsLimit } of finalists)
      expect(meetsLimit).toBe(Math.max(measuredMs, measuredAgainMs ?? 0) <= maxLatencyMs);
    const within = finalists.filter(({ meetsLimit }) => meetsLimit);
    if (within.length > 0)
      expect(model.validationTop1).toBe(Math.max(...within.map(({ validationTop1 }) => validationTop1)));
    expect(onDevices.map((on) => on.device)).toEqual(['here', 'other']);
    const others = models.filter(
      (other) =>
        other.device !== device &&
        (other.onDevices.find((on) => on.device === device)!.measuredMs ?? Infinity) <= maxLatencyMs,
    );
    const best = others.reduce((most, { validationTop1 }) => Math.max(most, validationTop1), 0);
    expect(borrowed?.validationTop1 ?? 0).toBe(best);
    // Otherwise the borrowed one would have been taken.
    if (model.meetsLimit) expect(model.validationTop1).toBeGreaterThanOrEqual(best);
    for (const tighter of models) {
      if (tighter.device === device && tighter.meetsLimit && tighter.maxLatencyMs < maxLatencyMs)
        expect(model.validationTop1).toBeGreaterThanOrEqual(tighter.validationTop1);
    }
    expect(model.sameModelAs).toEqual(
      models
        .filter(
          (other) =>
            other !== model && JSON.stringify(other.architecture) === JSON.stringify(model.architecture),
        )
        .map((other) => ({ device: other.device, maxLatencyMs: other.maxLatencyMs })),
    );
    expect(model.spare?.share ?? null).toBe(
      model.meetsLimit && model.measuredMs / maxLatencyMs < 0.85 ? model.measuredMs / maxLatencyMs : null,
    );
  }
}

describe('specialize', () => {
  it('fills a table of devices and limits, and measures every model on every device', async () => {
    const folder = path('table');
    const world = new World();
    const result = await specialize(world.request(folder));
    expectSound(result);
    expect(result.models.map(({ device, maxLatencyMs }) => [device, maxLatencyMs])).toEqual([
      ['here', 0.25],
      ['here', 0.4],
      ['other', 0.25],
      ['other', 0.4],
    ]);
    for (const {
      architecture,
      onDevices,
      meetsLimit,
      onnx,
      finalists,
      maxLatencyMs,
      ...model
    } of result.models) {
      expect(meetsLimit).toBe(true);
      const arch = fromFile(architecture);
      for (const { device, predictedMs, measuredMs } of onDevices) {
        expect(predictedMs).toBe(predictMs(device, arch));
        expect(measuredMs).toBeCloseTo(predictMs(device, arch), 5);
      }
      expect(model.measuredTop1).toBe(trueTop1(arch) - 0.01);
      expect(finalists.every(({ predictedMs }) => predictedMs <= maxLatencyMs)).toBe(true);
      const { passed, metadata } = await verifyModel(readFileSync(onnx));
      expect(passed).toBe(true);
      expect(keyOf(fromFile(metadata.architecture!))).toBe(keyOf(arch));
      expect(metadata.latency).toEqual([{ device: model.device, latencyMs: model.measuredMs, batch: 1 }]);
    }
    // The devices differ so much that one model does not serve both.
    expect(new Set(result.models.map(({ architecture }) => JSON.stringify(architecture))).size).toBe(4);
    for (const { mape, broke, missed, kept } of result.predictions) {
      expect(mape).toBeLessThan(0.01);
      expect([broke, missed]).toEqual([0, 0]);
      expect(kept).toBeGreaterThanOrEqual(2);
    }
    const file: unknown = JSON.parse(readFileSync(path('table', SPECIALIZATION_FILE), 'utf8'));
    expect(specializationSchema.parse(file)).toEqual(specializationFile(result));
    // Nothing twice, but what was chosen.
    const chosen = new Set(result.models.map(({ architecture }) => keyOf(fromFile(architecture))));
    for (const word of new Set(world.measured)) {
      const times = world.measured.filter((other) => other === word).length;
      expect(times).toBeLessThanOrEqual(chosen.has(word.split(' ')[1]!) ? 2 : 1);
    }
    expect(new Set(world.scored).size).toBe(world.scored.length);
  });

  it('takes the next best where a finalist breaks its limit when measured, and says so', async () => {
    const untrue = (device: string, arch: Architecture): number =>
      predictMs(device, arch) * (createRandom('untrue', device, keyOf(arch)).float() < 0.5 ? 1.3 : 1);
    const result = await specialize(
      new World({ latencyMs: untrue }).request(path('untrue'), { finalists: 6 }),
    );
    expectSound(result);
    expect(result.models.map(({ meetsLimit }) => meetsLimit)).toEqual([true, true, true, true]);
    const broke = result.models.flatMap(({ finalists }) => finalists.filter(({ meetsLimit }) => !meetsLimit));
    expect(broke.length).toBeGreaterThan(0);
    expect(result.predictions.reduce((sum, prediction) => sum + prediction.broke, 0)).toBe(broke.length);
    for (const { mape } of result.predictions) expect(mape).toBeGreaterThan(3);
  });

  it('searches below a tighter limit where no finalist keeps it, and exports the closest where nothing does', async () => {
    const slower = (factor: number) => (device: string, arch: Architecture) =>
      factor * predictMs(device, arch);
    const some = await specialize(
      new World({ latencyMs: slower(1.25) }).request(path('slower'), { limits: [0.4] }),
    );
    expectSound(some);
    for (const { meetsLimit, predictedMs } of some.models) {
      expect(meetsLimit).toBe(true);
      expect(predictedMs).toBeLessThanOrEqual(0.4 / 1.25);
    }
    const warn = vi.fn();
    const none = await specialize(
      new World({ latencyMs: slower(50) }).request(path('none'), {
        limits: [0.4],
        logger: { ...silentLogger, warn },
      }),
    );
    expectSound(none);
    for (const { device, meetsLimit, measuredMs, finalists } of none.models) {
      expect(meetsLimit).toBe(false);
      expect(measuredMs).toBe(Math.min(...finalists.map((finalist) => finalist.measuredMs)));
      expect(warn).toHaveBeenCalledWith(expect.stringContaining(`within 0.4 ms on ${device}`));
    }
  });

  /** One device, on which latencies are `factor` times what is predicted. */
  const onOneDevice = (
    folder: string,
    limits: readonly number[],
    factor: (arch: Architecture) => number,
  ): SpecializeRequest => {
    const world = new World({ latencyMs: (device, arch) => predictMs(device, arch) * factor(arch) });
    const { targets, ...request } = world.request(path(folder), { limits });
    return { ...request, targets: targets.slice(0, 1) };
  };

  it.each(['a', 'b', 'c'])(
    'gives each of several limits a model no worse than alone, though its first proposals miss it by a little (%s)',
    async (draw) => {
      const factor = (arch: Architecture): number => 1.006 + 0.03 * createRandom(draw, keyOf(arch)).float();
      const limits = [0.18, 0.25, 0.33, 0.4];
      const { models } = await specialize(onOneDevice(`several ${draw}`, limits, factor));
      for (const [i, { maxLatencyMs, validationTop1, finalists, meetsLimit }] of models.entries()) {
        const alone = await specialize(onOneDevice(`alone ${draw} ${maxLatencyMs}`, [maxLatencyMs], factor));
        expect(validationTop1).toBeGreaterThanOrEqual(alone.models[0]!.validationTop1);
        expect(meetsLimit).toBe(true);
        if (i > 0) expect(validationTop1).toBeGreaterThanOrEqual(models[i - 1]!.validationTop1);
        // One of those that were sought for this limit, not what another limit happened to leave.
        const near = finalists.filter((one) => one.predictedMs > 0.8 * maxLatencyMs && one.meetsLimit);
        expect(near.length).toBeGreaterThan(0);
      }
    },
  );

  it('has a standard error beside every accuracy, and warns where models of two limits differ by chance', async () => {
    const warn = vi.fn();
    const { targets, ...request } = new World().request(path('doubtful'), {
      logger: { ...silentLogger, warn },
    });
    const few = { ...request, targets: targets.slice(0, 1) };
    // Accuracies of this world lie a few points apart, and there are few images.
    const { models } = await specialize(few);
    const images = loader.dataset.splitSize('validation');
    const error = (top1: number, count: number): number => Math.sqrt((top1 * (1 - top1)) / count);
    for (const model of models) {
      expect(model.validationTop1StandardError).toBeCloseTo(error(model.validationTop1, images), 10);
      const test = loader.dataset.splitSize('test');
      expect(model.measuredTop1StandardError).toBeCloseTo(error(model.measuredTop1, test), 10);
      for (const one of model.finalists)
        expect(one.validationTop1StandardError).toBeCloseTo(error(one.validationTop1, images), 10);
    }
    expect(warn).toHaveBeenCalledWith(
      expect.stringMatching(
        new RegExp(
          `for 0\\.25 and 0\\.4 ms on here differ by less .* ${images} validation images .*--validation-share`,
        ),
      ),
    );
    const text = formatModels(specializationFile(await specialize(few)).models);
    expect(text).toContain('measured top-1 (test)');
    expect(text).toMatch(/\d\d\.\d\d % ± \d+\.\d\d/);
  });

  it('says that two limits have one model, and why a model uses much less than its limit', async () => {
    // Whatever is large takes ten times as long as predicted: nothing keeps a limit that small ones do not keep.
    const factor = (arch: Architecture): number => (predictMs('here', arch) > 0.2 ? 10 : 1);
    const request = onOneDevice('one', [0.19, 0.4, 0.45], factor);
    const result = await specialize(request);
    const [tight, , loose] = result.models;
    expect(loose!.architecture).toEqual(tight!.architecture);
    expect(tight!.sameModelAs).toEqual([
      { device: 'here', maxLatencyMs: 0.4 },
      { device: 'here', maxLatencyMs: 0.45 },
    ]);
    expect(loose!.spare).toMatchObject({ cause: 'broke-limit', share: loose!.measuredMs / 0.45 });
    const text = formatSpecialization(specializationFile(result));
    expect(text).toContain(
      'The model for here, 0.45 ms is the same model as for here, 0.19 ms and here, 0.4 ms',
    );
    expect(text).toMatch(
      /The model for here, 0.45 ms uses \d\d % of its limit: \d+ networks predicted closer/,
    );
    const page = readFileSync(await writeSpecializationReport({ ...request, result }), 'utf8');
    expect(page).toMatch(/here, ≤ 0.45\sms: the same model as for here, ≤ 0.19\sms and here, ≤ 0.4\sms\./);
    expect(page).toMatch(/here, ≤ 0.45\sms: uses \d\d\s% of its limit/);
  });

  it('lets a model make way that keeps its limit once and not again', async () => {
    const limits = [0.4];
    const first = await specialize(new World().request(path('steady'), { limits }));
    const unlucky = keyOf(fromFile(first.models[0]!.architecture));
    const result = await specialize(
      new World({
        latencyMs: (device, arch, visit) =>
          device === 'here' && keyOf(arch) === unlucky && visit > 0 ? 0.41 : predictMs(device, arch),
      }).request(path('again'), { limits }),
    );
    expectSound(result);
    const { architecture, finalists, meetsLimit } = result.models[0]!;
    expect(meetsLimit).toBe(true);
    expect(keyOf(fromFile(architecture))).not.toBe(unlucky);
    const told = finalists.find((finalist) => keyOf(fromFile(finalist.architecture)) === unlucky)!;
    expect(told).toMatchObject({ meetsLimit: false, measuredAgainMs: 0.41, chosen: false });
  });

  it('goes by what a network usually takes, whatever disturbed the machine while it was measured', async () => {
    const quiet = await specialize(new World().request(path('quiet')));
    const world = new World({
      disturbance: (_, arch, visit) => ((visit + keyOf(arch).length) % 2 === 0 ? 1.8 : 1.1),
    });
    const disturbed = await specialize(world.request(path('disturbed')));
    expect(disturbed.models.map(({ architecture }) => architecture)).toEqual(
      quiet.models.map(({ architecture }) => architecture),
    );
    for (const { measuredMs, predictedMs, meetsLimit } of disturbed.models) {
      expect(measuredMs).toBeCloseTo(predictedMs, 5);
      expect(meetsLimit).toBe(true);
    }
  });

  it('measures again what drifted, and goes by the steadier result', async () => {
    const folder = path('drifted');
    // The first time on each device everything is slow.
    const world = new World({ drifted: (_device, _arch, visit) => visit === 0 });
    const limits = [0.4];
    const result = await specialize(world.request(folder, { limits }));
    expectSound(result);
    for (const { meetsLimit, finalists, device } of result.models) {
      expect(meetsLimit).toBe(true);
      for (const { architecture, measuredMs } of finalists)
        expect(measuredMs).toBeCloseTo(predictMs(device, fromFile(architecture)), 5);
    }
    const steady = await specialize(new World().request(path('steady too'), { limits }));
    expect(result.models.map((model) => model.architecture)).toEqual(
      steady.models.map((model) => model.architecture),
    );
    const again = new World();
    await specialize(again.request(folder, { limits }));
    expect(again.measured).toEqual([]);
  });

  it('leaves out a cell that no network can keep, and only then; a model that a device cannot run is no candidate there', async () => {
    const warn = vi.fn();
    const first = await specialize(new World().request(path('able'), { limits: [0.4] }));
    const unable = keyOf(fromFile(first.models[0]!.architecture));
    const result = await specialize(
      new World({
        latencyMs: (device, arch) =>
          device === 'other' && keyOf(arch) === unable ? undefined : predictMs(device, arch),
      }).request(path('partly'), { limits: [0.001, 0.4], logger: { ...silentLogger, warn } }),
    );
    expectSound(result);
    expect(result.infeasible.map(({ device, maxLatencyMs }) => [device, maxLatencyMs])).toEqual([
      ['here', 0.001],
      ['other', 0.001],
    ]);
    for (const { reason } of result.infeasible) expect(reason).toMatch(/\d ms/);
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('No model for 0.001 ms on here'));
    expect(result.models[0]!.onDevices[1]).toMatchObject({ device: 'other', measuredMs: null });
    const only = new World().request(path('never'), { limits: [0.001] });
    await expect(specialize(only)).rejects.toThrow(InfeasibleError);
    expect(existsSync(path('never'))).toBe(false);
  });

  it('says what it searches for, and can be stopped meanwhile', async () => {
    const abort = new AbortController();
    const labels: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      progress(label) {
        labels.push(label);
        return { update: () => abort.abort(new Error('enough')), stop: () => undefined };
      },
    };
    const stopped = specialize(new World().request(path('stopped'), { logger, signal: abort.signal }));
    await expect(stopped).rejects.toThrow('enough');
    expect(labels).toEqual(['Searching (random) below 0.25 ms on here']);
  });

  it('refuses a device that is given twice', async () => {
    const request = new World().request(path('twice'));
    const targets = [...request.targets, request.targets[0]!];
    await expect(specialize({ ...request, targets })).rejects.toThrow(/"here" is given again/);
  });
});

describe('specialize, stopped and started again', () => {
  const limits = [0.4];
  let whole: Specialization;
  let all: World;
  beforeAll(async () => {
    all = new World();
    whole = await specialize(all.request(path('whole'), { limits }));
  });
  /** Files are named by folder; all else must be equal. */
  const content = (result: Specialization) => ({
    ...specializationFile(result),
    models: specializationFile(result).models.map((model) => ({ ...model, onnx: basename(model.onnx) })),
  });

  it.each([1, 7])(
    'after %i measurements, measures the rest and ends as if it had never stopped',
    async (stop) => {
      const folder = path(`stopped${stop}`);
      const abort = new AbortController();
      const first = new World({ onMeasured: (count) => count === stop && abort.abort() });
      await expect(specialize(first.request(folder, { limits, signal: abort.signal }))).rejects.toThrow(
        InterruptedError,
      );
      expect(existsSync(path(`stopped${stop}`, SPECIALIZATION_FILE))).toBe(false);
      const second = new World();
      expect(content(await specialize(second.request(folder, { limits })))).toEqual(content(whole));
      // The last result was told after the signal: it is measured again.
      expect(first.measured.length + second.measured.length).toBeLessThanOrEqual(all.measured.length + 1);
      expect([...first.scored, ...second.scored].sort()).toEqual([...all.scored].sort());
      const third = new World();
      expect(content(await specialize(third.request(folder, { limits })))).toEqual(content(whole));
      expect([third.measured, third.scored]).toEqual([[], []]);
    },
  );

  it('goes on behind a line that a kill cut off, and refuses one that is damaged', async () => {
    const file = path('torn', FINALISTS_FILE);
    await specialize(new World().request(path('torn'), { limits }));
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    truncateSync(file, readFileSync(file).byteLength - 7);
    const world = new World();
    expect(content(await specialize(world.request(path('torn'), { limits })))).toEqual(content(whole));
    expect(world.measured.length + world.scored.length).toBe(1);
    expect(readFileSync(file, 'utf8').trimEnd().split('\n').sort()).toEqual([...lines].sort());
    writeFileSync(file, [lines[0], '{"format":"ofakit.finalist/1"}', ''].join('\n'));
    await expect(specialize(new World().request(path('torn'), { limits }))).rejects.toThrow(
      /finalists\.jsonl, line 2/,
    );
  });

  it('takes nothing from what was measured by another protocol, or of other weights', async () => {
    const folder = path('changed');
    await specialize(new World().request(folder, { limits: [0.4] }));
    const slower = new World();
    await specialize(slower.request(folder, { limits: [0.4], protocol: protocolByName('standard') }));
    expect(slower.measured.length).toBeGreaterThan(0);
    expect(slower.scored).toEqual([]);
    const other = new World();
    await specialize(
      other.request(folder, { limits: [0.4], run: { ...run, weightsSha256: '0'.repeat(64) } }),
    );
    expect(other.measured).toEqual(slower.measured);
    expect(other.scored.length).toBeGreaterThan(0);
  });

  it('adds limits to a table that is there', async () => {
    const folder = path('grown');
    await specialize(new World().request(folder, { limits: [0.25] }));
    const world = new World();
    const grown = await specialize(world.request(folder));
    expectSound(grown);
    const anew = new World();
    await specialize(anew.request(path('anew')));
    expect(world.measured.length).toBeLessThan(anew.measured.length);
    expect(readdirSync(folder).filter((name) => name.endsWith('.onnx'))).toHaveLength(4);
  });

  it('keeps the cells of earlier calls with their models, and tells a new limit of them', async () => {
    const folder = path('kept');
    const read = () =>
      specializationSchema.parse(JSON.parse(readFileSync(path('kept', SPECIALIZATION_FILE), 'utf8')));
    const { targets, ...request } = new World().request(folder, { limits: [0.25] });
    await specialize({ ...request, targets: targets.slice(0, 1) });
    const [first] = read().models;
    // Another limit, another device: what is there stays.
    const second = new World().request(folder, { limits: [0.4] });
    const result = await specialize({ ...second, targets: second.targets.slice(1) });
    expect(result.models.map(({ device }) => device)).toEqual(['other']);
    expect(read().models.map(({ device, maxLatencyMs }) => [device, maxLatencyMs])).toEqual([
      ['other', 0.4],
      ['here', 0.25],
    ]);
    expect(read().models[1]).toMatchObject({ architecture: first!.architecture, onnx: first!.onnx });
    // A looser limit on the same device is no worse, though all that is sought for it is slow.
    const slow = new World({
      latencyMs: (device, arch) =>
        predictMs(device, arch) * (keyOf(arch) === keyOf(fromFile(first!.architecture)) ? 1 : 50),
    });
    const third = slow.request(folder, { limits: [0.3] });
    await specialize({ ...third, targets: third.targets.slice(0, 1) });
    const cells = read().models;
    expect(cells.map(({ device, maxLatencyMs }) => [device, maxLatencyMs])).toEqual([
      ['here', 0.25],
      ['here', 0.3],
      ['other', 0.4],
    ]);
    expect(cells[1]).toMatchObject({ architecture: first!.architecture, meetsLimit: true });
    expect(cells.slice(0, 2).map(({ sameModelAs }) => sameModelAs)).toEqual([
      [{ device: 'here', maxLatencyMs: 0.3 }],
      [{ device: 'here', maxLatencyMs: 0.25 }],
    ]);
    expect(read().predictions.map(({ device }) => device)).toEqual(['here', 'other']);
    // A model whose file is gone is left out; other weights begin a table of their own. Both are said.
    const warn = vi.fn();
    rmSync(cells[0]!.onnx);
    const logger = { ...silentLogger, warn };
    await specialize(new World().request(folder, { limits: [0.4], logger }));
    expect(warn).toHaveBeenCalledWith(expect.stringContaining(`${cells[0]!.onnx} is gone`));
    expect(read().models.map(({ device, maxLatencyMs }) => [device, maxLatencyMs])).toEqual([
      ['here', 0.3],
      ['here', 0.4],
      ['other', 0.4],
    ]);
    const other = { ...run, weightsSha256: 'f'.repeat(64) };
    await specialize(new World().request(folder, { limits: [0.4], logger, run: other }));
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('3 models are of another supernet'));
    expect(read().models).toHaveLength(2);
  });
});

describe('the report of a specialisation', () => {
  it('has a histogram and a scatter for each device, and the matrix; and is made again from its data', async () => {
    const folder = path('reported');
    const request = new World().request(folder);
    const result = await specialize(request);
    const page = await writeSpecializationReport({ ...request, result });
    const text = readFileSync(page, 'utf8');
    for (const device of ['here', 'other']) {
      expect(text).toContain(`Histogram of the latencies of 300 subnets on ${device}`);
      expect(text).toMatch(
        new RegExp(`Predicted against measured latency of \\d+ held-out subnets on ${device}`),
      );
      expect(text).toContain(`On ${device}`);
    }
    expect(text).toContain('What specialising bought');
    for (const { onnx, borrowed } of result.models) {
      expect(text).toContain(`./${basename(onnx)}`);
      if (borrowed !== null) expect(text).toContain(`that for ${borrowed.device}`);
    }
    copyFileSync(page, path('kept.html'));
    rmSync(page);
    expect(await reportFolder(folder)).toBe(page);
    expect(readFileSync(page, 'utf8')).toBe(readFileSync(path('kept.html'), 'utf8'));
  });
});

it('needs the device that the profile names', async () => {
  const request = new World().request(path('unreachable'));
  const [{ connection: _connection, ...target }] = request.targets as [SpecializeRequest['targets'][number]];
  const device = { ...target.device, transport: { kind: 'none' } };
  await expect(specialize({ ...request, targets: [{ ...target, device }] })).rejects.toThrow(UserError);
  expect(existsSync(path('unreachable'))).toBe(false);
});
