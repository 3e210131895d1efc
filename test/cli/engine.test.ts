/** `--engine tfjs` as users run it. */
import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { metricSchema } from '../../src/training/metrics.js';
import { ofa } from './support/cli.js';
import { fewDigits, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
let words: string[];
beforeAll(() => {
  const [data, schedule] = [fewDigits(path('digits'), 8), writeSchedule(path('schedule.json'), 0.5, 16)];
  words = ['train', ...SPACE_WORDS, '--data', data, '--schedule', schedule, '--workers', '0'];
});

const metricsOf = (run: string) =>
  readFileSync(path(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => metricSchema.parse(JSON.parse(line)));

it('trains and evaluates as ONNX Runtime does, and names the package that computes', async () => {
  for (const engine of ['onnxruntime', 'tfjs']) {
    const result = await ofa([...words, '--out', path(engine), '--engine', engine]);
    expect(result).toMatchObject({ code: 0 });
    expect(result.stderr.includes('Computing with @tensorflow/tfjs')).toBe(engine === 'tfjs');
    // TensorFlow.js prints advice of its own unless it is kept from it.
    expect(result.stderr).not.toContain('dramatically');
  }
  const [expected, actual] = [metricsOf('onnxruntime'), metricsOf('tfjs')];
  expect(actual.map(({ kind }) => kind)).toEqual(expected.map(({ kind }) => kind));
  actual.forEach(({ loss }, i) => expect(loss / expected[i]!.loss).toBeCloseTo(1, 4));

  const evaluate = ['eval', '--supernet', path('tfjs'), '--arch', 'smallest', '--calibration-images', '32'];
  const scores = await Promise.all(
    ['onnxruntime', 'tfjs'].map(async (engine) => {
      const { code, stdout } = await ofa([...evaluate, '--engine', engine, '--json']);
      expect(code).toBe(0);
      return JSON.parse(stdout) as { top1: number; loss: number };
    }),
  );
  expect(scores[1]!.top1).toBe(scores[0]!.top1);
  expect(scores[1]!.loss).toBeCloseTo(scores[0]!.loss, 4);
});

it('leaves providers to ONNX Runtime', async () => {
  const { code, stderr } = await ofa([
    ...words,
    ...['--out', path('never'), '--engine', 'tfjs', '--provider', 'cuda'],
  ]);
  expect(code).toBe(2);
  expect(stderr).toContain('Cannot use --provider cuda with --engine tfjs');
});
