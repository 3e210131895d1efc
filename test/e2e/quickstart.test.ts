/** The whole loop, small: what it writes, that its figures fit together, that it goes on, that its files stand alone. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { verifyModel } from '../../src/export/verify.js';
import { readTable } from '../../src/latency/table.js';
import { validateTable } from '../../src/latency/validate.js';
import { fitAccuracy } from '../../src/pipeline/accuracy.js';
import { quickstart } from '../../src/pipeline/quickstart.js';
import { reportFolder } from '../../src/pipeline/report.js';
import { openRun } from '../../src/pipeline/run.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { specialize } from '../../src/pipeline/specialize.js';
import { createEvaluator, openLoader } from '../../src/pipeline/run.js';
import { LatencyQuery } from '../../src/latency/query.js';
import { loadDevice } from '../../src/device/profile.js';
import { protocolByName } from '../../src/device/protocol.js';
import { fromFile } from '../../src/space/architecture.js';
import { networkCosts } from '../../src/space/costs.js';
import { InfeasibleError, UserError } from '../../src/util/errors.js';
import { silentLogger, type Logger } from '../../src/util/logger.js';

const fraction = z.number().min(0).max(1);
/** The contract of `ofa quickstart`. */
const summarySchema = z.looseObject({
  supernet: z.looseObject({
    space: z.string(),
    subnets: z.number(),
    bestTop1: fraction,
    smallestTop1: fraction,
    seconds: z.number(),
  }),
  accuracyPredictor: z.looseObject({
    kendallTau: z.number().min(-1).max(1),
    rmse: z.number().nonnegative(),
    heldOut: z.number(),
  }),
  latency: z.looseObject({
    device: z.string(),
    mape: z.number(),
    within10Percent: z.number(),
    heldOut: z.number(),
  }),
  models: z
    .array(
      z.looseObject({
        maxLatencyMs: z.number().positive(),
        predictedMs: z.number().positive(),
        measuredMs: z.number().positive(),
        predictedTop1: z.number(),
        measuredTop1: fraction,
        macs: z.number().int(),
        onnx: z.string(),
      }),
    )
    .nonempty(),
  seconds: z.number().positive(),
});

const settings = {
  epochsScale: 0.03,
  samples: { fit: 12, heldOut: 6 },
  whole: { fit: 20, check: 6 },
  limitQuantiles: [0.4, 0.9],
  calibrationImages: 200,
};

describe('quickstart', () => {
  let folder: string;
  const lines: string[] = [];
  const logger: Logger = { ...silentLogger, info: (line) => void lines.push(line) };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ofakit-quickstart-'));
    await quickstart({ folder, settings, logger });
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const summary = async (): Promise<z.infer<typeof summarySchema>> =>
    summarySchema.parse(JSON.parse(await readFile(join(folder, 'summary.json'), 'utf8')));

  it('says every stage in a line', () => {
    expect(lines.filter((line) => /^\d\. /.test(line))).toHaveLength(5);
  });

  it('judges predictors on what they were not fitted on', async () => {
    const { accuracyPredictor, latency } = await summary();
    expect(accuracyPredictor.heldOut).toBe(6);
    expect(latency.heldOut).toBe(6);
    const table = await readTable(join(folder, 'latency-table.json'));
    expect(validateTable(table).errors.mape).toBeCloseTo(latency.mape, 10);
    const run = await openRun(join(folder, 'supernet'));
    const runtime = await createRuntime();
    const { predictor, score } = await fitAccuracy({
      run,
      engine: runtime.inference,
      predictor: 'mlp',
      heldOut: 6,
      seed: 0,
    });
    await predictor.dispose();
    await runtime.dispose();
    expect(score.kendallTau).toBeCloseTo(accuracyPredictor.kendallTau, 6);
  });

  it('exports files that run by themselves and are what the summary says', async () => {
    const { models } = await summary();
    const { space } = await openRun(join(folder, 'supernet'));
    for (const { onnx, macs } of models) {
      const verification = await verifyModel(await readFile(onnx));
      expect(verification.problems).toEqual([]);
      expect(verification.passed).toBe(true);
      expect(networkCosts(space.network(fromFile(verification.metadata.architecture!))).macs).toBe(macs);
      expect(verification.metadata.classes).toHaveLength(10);
    }
  });

  it('writes a report of the same models', async () => {
    const { models } = await summary();
    const html = await readFile(join(folder, 'report.html'), 'utf8');
    for (const { onnx } of models) expect(html).toContain(onnx.split('/').pop());
    await rm(join(folder, 'report.html'));
    expect(await readFile(await reportFolder(folder), 'utf8')).toBe(html);
  });

  it('goes on instead of beginning again', async () => {
    const before = await readFile(join(folder, 'supernet', 'supernet.json'), 'utf8');
    const blocks = async (): Promise<string[]> =>
      Object.keys((await readTable(join(folder, 'latency-table.json'))).entries).sort();
    const table = await blocks();
    const accuracies = await readFile(join(folder, 'supernet', 'accuracy.jsonl'), 'utf8');
    const first = await summary();
    await quickstart({ folder, settings, logger: silentLogger });
    const second = await summary();
    // Seconds are those of both calls, and training took none in the second.
    expect(second.seconds).toBeGreaterThan(first.seconds);
    expect(second.supernet.seconds).toBeGreaterThanOrEqual(first.supernet.seconds);
    expect(second.supernet.seconds).toBeLessThan(second.seconds);
    expect(await readFile(join(folder, 'supernet', 'supernet.json'), 'utf8')).toBe(before);
    // What was measured at another speed of the machine may be measured again.
    expect(await blocks()).toEqual(table);
    expect(await readFile(join(folder, 'supernet', 'accuracy.jsonl'), 'utf8')).toBe(accuracies);
  }, 300_000);

  /** Specialises with a constant accuracy, to see what is refused. */
  async function specializeFor(device: string, maxLatencyMs: number, out: string): Promise<void> {
    const run = await openRun(join(folder, 'supernet'));
    const loader = await openLoader(run.space, run.data, { batchSize: 64, seed: 0, workers: 0 });
    const runtime = await createRuntime();
    const latency = new LatencyQuery(await readTable(join(folder, 'latency-table.json')));
    try {
      await specialize({
        run,
        loader,
        evaluator: createEvaluator(run, loader, runtime, { calibrationImages: 100 }),
        predictAccuracy: (archs) => archs.map(() => 0.5),
        targets: [{ device: await loadDevice(device), latency, maxLatencyMs: [maxLatencyMs] }],
        protocol: protocolByName('quick'),
        folder: out,
        strategy: 'random',
        seed: 0,
        logger: silentLogger,
      });
    } finally {
      await loader.close();
      await runtime.dispose();
    }
  }

  it('names the fastest possible where a limit is below anything the space can do', async () => {
    const out = join(folder, 'impossible');
    const request = specializeFor('local-cpu', 1e-6, out);
    await expect(request).rejects.toThrow(InfeasibleError);
    await expect(request).rejects.toThrow(/\d ms/);
    expect(existsSync(out)).toBe(false);
  });

  it('writes nothing for a device that cannot be measured', async () => {
    const out = join(folder, 'unreachable');
    await expect(specializeFor('note10', 1000, out)).rejects.toThrow(UserError);
    expect(existsSync(out)).toBe(false);
  });
});
