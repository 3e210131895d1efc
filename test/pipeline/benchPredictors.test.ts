/** `ofa bench predictors` on files of each form, and on files that hold nothing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nasBench201Genes, nasBench201Text } from '../../src/accuracy/benchmarks/nasBench201.js';
import { accuracyPredictorByName } from '../../src/accuracy/predictors/index.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import {
  benchPredictorsOnAccuracies,
  benchPredictorsOnMacro,
  benchPredictorsOnNasBench201,
} from '../../src/pipeline/benchPredictors.js';
import { toFile, type Architecture } from '../../src/space/architecture.js';
import type { Gene } from '../../src/space/gene.js';
import { UserError } from '../../src/util/errors.js';
import { silentLogger } from '../../src/util/logger.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace } from '../support/spaces.js';

const space = shippedSpace('mbv3-tiny');
const settings = {
  definitions: [accuracyPredictorByName('ridge')],
  encodings: ['one-hot'],
  targets: ['accuracy'] as const,
  losses: ['squared'] as const,
  sizes: [40],
  seeds: 2,
  engine: await createOnnxRuntimeEngine({ threads: 1 }),
  logger: silentLogger,
};
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'ofakit-bench-'))));
afterAll(() => rm(folder, { recursive: true }));

function draw(genes: readonly Gene[], count: number): Architecture[] {
  const list = distinctArchitectures(genes, 0);
  return Array.from({ length: count }, () => list.next().value!.architecture);
}
const write = async (name: string, content: string): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
};

describe('on NAS-Bench-201', () => {
  it('ranks what is additive', async () => {
    const entries = draw(nasBench201Genes, 120).map((arch): [string, { top1: number }] => [
      nasBench201Text(arch),
      { top1: 0.5 + 0.01 * arch.ks.reduce((sum, operation, edge) => sum + operation * (1 + edge / 7), 0) },
    ]);
    const file = await write(
      'nb201.json',
      JSON.stringify({
        format: 'ofakit.nas-bench-201/1',
        dataset: 'cifar10',
        entries: Object.fromEntries(entries),
      }),
    );
    const [row] = await benchPredictorsOnNasBench201(file, settings);
    expect(row).toMatchObject({ predictor: 'ridge', encoding: 'one-hot', fitted: 40, heldOut: 80 });
    expect(row!.kendallTau).toBeGreaterThan(0.8);
    await expect(
      benchPredictorsOnNasBench201(file, { ...settings, encodings: ['combined'] }),
    ).rejects.toThrow('Unknown encoding "combined": known are one-hot, ordinal');
  });
});

describe("on a run's accuracies", () => {
  const random = createRandom('bench');
  const lines = draw(space.genes, 100).map((architecture) => {
    const top1 = 0.8 + 0.1 * random.float();
    return {
      format: 'ofakit.accuracy/1',
      architecture: toFile(architecture),
      split: 'validation',
      top1,
      top5: 1,
      loss: 0.1,
      count: 100,
      seed: 0,
      weightsSha256: 'x',
      learningCurve: [{ at: 0.5, top1: top1 - 0.01 * random.float() }],
      proxies: { snip: random.float() },
    };
  });
  const text = (list: readonly unknown[]): string => list.map((line) => `${JSON.stringify(line)}\n`).join('');

  it('tries every encoding with each extra and with all', async () => {
    const file = await write('accuracy.jsonl', text(lines));
    const rows = await benchPredictorsOnAccuracies(file, space, ['learning-curve', 'proxies'], settings);
    const taus = Object.fromEntries(rows.map(({ encoding, kendallTau }) => [encoding, kendallTau]));
    expect(Object.keys(taus)).toEqual([
      'one-hot',
      'one-hot+learning-curve',
      'one-hot+proxies',
      'one-hot+learning-curve+proxies',
    ]);
    // Only the curve says anything here.
    expect(taus['one-hot+learning-curve']).toBeGreaterThan(0.8);
    expect(Math.abs(taus['one-hot']!)).toBeLessThan(0.4);
    expect(Math.abs(taus['one-hot+proxies']!)).toBeLessThan(0.4);
  });

  it('refuses a file without accuracies, or without the extra', async () => {
    const empty = await write('empty.jsonl', '');
    await expect(benchPredictorsOnAccuracies(empty, space, [], settings)).rejects.toThrow(
      'it must hold accuracies: there are none',
    );
    const plain = await write('plain.jsonl', text(lines.map(({ proxies: _, ...line }) => line)));
    await expect(benchPredictorsOnAccuracies(plain, space, ['proxies'], settings)).rejects.toThrow(
      /no architecture has it; compute some with "ofa accuracy proxies"/,
    );
  });

  it('refuses a table of NAS-Bench-Macro that is none', async () => {
    for (const content of ['{}', '[]', '{"00000000":{"mean_acc":900}}', '{"0":{}}', 'x'])
      await expect(benchPredictorsOnMacro(await write('macro.json', content), settings)).rejects.toThrow(
        UserError,
      );
  });
});
