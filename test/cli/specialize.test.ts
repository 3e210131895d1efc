/** `ofa specialize` as its users run it: two devices of this machine, a document, tables, a page; run again it goes on. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { specializationSchema } from '../../src/pipeline/specialization.js';
import { ofa } from './support/cli.js';
import { fewDigits, makeRun, makeTable } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const cwd = path('.');
const words = [
  'specialize',
  ...['--supernet', 'run', '--out', 'models', '--protocol', 'quick', '--strategy', 'random'],
  ...['--finalists', '1', '--calibration-images', '16'],
  ...[
    '--device',
    'local-cpu',
    '--device',
    'local-cpu-2t',
    '--max-latency-ms',
    '0.001',
    '--max-latency-ms',
    '50',
  ],
];

beforeAll(async () => {
  await makeRun(path('run'), fewDigits(path('digits')));
  const table = path('latency-tables', 'local-cpu', 'mbv3-tiny.json');
  await makeTable(table);
  const other = path('latency-tables', 'local-cpu-2t', 'mbv3-tiny.json');
  await makeTable(other);
  writeFileSync(other, readFileSync(table, 'utf8').replace('"name": "local-cpu"', '"name": "local-cpu-2t"'));
  const fit = ['accuracy', 'fit', '--supernet', 'run', '--predictor', 'ridge', '--held-out', '8'];
  expect(await ofa(fit, { cwd })).toMatchObject({ code: 0 });
}, 60_000);

describe('ofa specialize', () => {
  it('prints the document that it writes, and goes on with it', async () => {
    const { code, stdout, stderr } = await ofa(['--json', ...words], { cwd });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const result = specializationSchema.parse(JSON.parse(stdout));
    expect(JSON.parse(readFileSync(path('models', 'specialization.json'), 'utf8'))).toEqual(result);
    expect(result.models.map(({ device, maxLatencyMs }) => [device, maxLatencyMs])).toEqual([
      ['local-cpu', 50],
      ['local-cpu-2t', 50],
    ]);
    for (const { onDevices, onnx, finalists } of result.models) {
      expect(onDevices.map(({ device }) => device)).toEqual(['local-cpu', 'local-cpu-2t']);
      for (const { measuredMs } of onDevices) expect(measuredMs).toBeGreaterThan(0);
      expect(finalists.length).toBeGreaterThan(0);
      expect(existsSync(path(onnx))).toBe(true);
    }
    expect(result.infeasible.map(({ device, maxLatencyMs }) => [device, maxLatencyMs])).toEqual([
      ['local-cpu', 0.001],
      ['local-cpu-2t', 0.001],
    ]);
    const lines = readFileSync(path('models', 'finalists.jsonl'), 'utf8');

    const again = await ofa(words, { cwd });
    expect(again).toMatchObject({ code: 0 });
    for (const part of [
      'finalists predicted to keep their limit',
      'Each model on every device',
      'What specialising bought',
      'No model for 0.001 ms on local-cpu',
      'report.html',
    ])
      expect(again.stdout).toContain(part);
    // Nothing was measured or scored again.
    expect(readFileSync(path('models', 'finalists.jsonl'), 'utf8')).toBe(lines);
    expect(readFileSync(path('models', 'report.html'), 'utf8')).toContain('Every model on every device');
    expect(await ofa(['report', 'models'], { cwd })).toMatchObject({ code: 0 });
  }, 120_000);
});
