import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openRun } from '../../src/pipeline/run.js';
import { runReport } from '../../src/pipeline/runReport.js';
import { trainingCurves } from '../../src/pipeline/reportParts.js';
import { noteSpecialization, readSpecializations } from '../../src/pipeline/specializations.js';
import { renderReport } from '../../src/report/report.js';
import { smallSpace } from '../support/spaces.js';
import { makeRun } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';

const path = temporaryFolder();
const space = smallSpace();

beforeAll(() => makeRun(path('run'), 'mnist', 24, space));

describe('trainingCurves', () => {
  it('begins a phase where the one before it ended, not at its own first line', async () => {
    const line = (phase: string, step: number): string =>
      JSON.stringify({ kind: 'step', phase, step, epoch: 1, loss: 1, learningRate: 0.1, imagesPerSecond: 1 });
    mkdirSync(path('curves'));
    const lines = [
      line('teacher', 20),
      line('teacher', 33),
      line('kernel', 40),
      line('kernel', 51),
      line('depth', 60),
    ];
    writeFileSync(path('curves', 'metrics.jsonl'), `${lines.join('\n')}\n`);
    expect((await trainingCurves(path('curves'))).phases).toEqual([
      { name: 'teacher', startStep: 0 },
      { name: 'kernel', startStep: 33 },
      { name: 'depth', startStep: 51 },
    ]);
  });
});

describe('runReport', () => {
  it('tells of sampled accuracies, and of models wherever they were written', async () => {
    const run = await openRun(path('run'));
    expect(await readSpecializations(run.folder, run.weightsSha256)).toEqual([]);
    const model = {
      device: 'pc',
      maxLatencyMs: 1,
      predictedMs: 0.9,
      measuredMs: 0.8,
      meetsLimit: true,
      predictedTop1: 0.7,
      validationTop1: 0.7,
      measuredTop1: 0.6,
      macs: 1000,
      params: 100,
      architecture: { image_size: 16, ks: [3, 3, 3, 3], e: [2, 2, 2, 2], d: [1, 1] },
      onnx: path('models', 'small-pc-1ms.onnx'),
      finalists: [],
      onDevices: [],
      borrowed: null,
      maxAbsDifference: 0,
    };
    const file = {
      format: 'ofakit.specialization/1',
      space: 'small',
      dataset: 'mnist',
      weightsSha256: run.weightsSha256,
      models: [model],
      predictions: [],
      infeasible: [],
    };
    for (const [folder, weightsSha256] of [
      ['models', run.weightsSha256],
      ['stale', 'other'],
    ] as const) {
      mkdirSync(path(folder));
      writeFileSync(path(folder, 'specialization.json'), JSON.stringify({ ...file, weightsSha256 }));
      await noteSpecialization(run.folder, path(folder));
      await noteSpecialization(run.folder, path(folder));
    }
    const data = await runReport(run);
    expect(data.sampled).toMatchObject({ count: 24, split: 'validation', images: 100 });
    // Accuracies on other data are not among them.
    const lines = readFileSync(path('run', 'accuracy.jsonl'), 'utf8').trimEnd().split('\n');
    const other = lines.map((line) => JSON.stringify({ ...JSON.parse(line), top1: 0, dataSha256: 'other' }));
    writeFileSync(path('run', 'accuracy.jsonl'), `${[...lines, ...other].join('\n')}\n`);
    expect((await runReport(run)).sampled).toEqual(data.sampled);
    expect(data.models.map(({ file }) => file)).toEqual(['../models/small-pc-1ms.onnx']);
    const page = await renderReport(data);
    expect(page).toContain('<h1>One model for pc');
    expect(page).toContain('href="../models/small-pc-1ms.onnx"');
  });
});
