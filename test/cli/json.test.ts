import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { accuracyLineSchema } from '../../src/accuracy/dataset.js';
import { fractionStandardError } from '../../src/util/standardError.js';
import { measuredTableSchema, writeTable } from '../../src/latency/table.js';
import { toFile } from '../../src/space/architecture.js';
import { blockCosts, networkCosts } from '../../src/space/costs.js';
import { countNetworks } from '../../src/space/enumerate.js';
import { ofa } from './support/cli.js';
import {
  blockMs,
  fewDigits,
  makeRun,
  makeTable,
  space,
  SPACE_WORDS,
  writeSchedule,
} from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();

/** Runs with `--json`: one document on stdout, nothing else there. */
async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ofa([...args, '--json']);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  // Throws where anything stands before or behind the document.
  return JSON.parse(stdout) as Record<string, unknown>;
}

beforeAll(async () => {
  await makeRun(path('run'), fewDigits(path('digits')));
  await makeTable(path('table.json'));
});

describe('--json prints one document', () => {
  it('space list, also with the option before the command', async () => {
    const list = (await json(['space', 'list'])) as unknown as { name: string }[];
    expect(list.map(({ name }) => name)).toContain('mbv3-tiny');
    const before = await ofa(['--json', 'space', 'list']);
    expect(JSON.parse(before.stdout)).toEqual(list);
  });

  it('space show', async () => {
    const shown = await json(['space', 'show', 'mbv3-tiny', '--width', '0.5', '--image-sizes', '16']);
    expect(shown).toMatchObject({ name: 'mbv3-tiny', width: 0.5, subnets: `${countNetworks(space.genes)}` });
  });

  it('cost', async () => {
    const costs = await json(['cost', ...SPACE_WORDS, '--arch', 'smallest']);
    const { macs, params, modelBytes, peakActivationBytes } = networkCosts(space.network(space.smallest));
    expect(costs).toMatchObject({ macs, params, modelBytes, peakActivationBytes });
  });

  it('device list and check', async () => {
    const list = (await json(['device', 'list'])) as unknown as { name: string }[];
    expect(list.map(({ name }) => name)).toContain('local-cpu');
    expect(await json(['device', 'check', 'local-cpu'])).toMatchObject({
      device: 'local-cpu',
      answers: true,
    });
  });

  it('latency query of a subnet and of a block', async () => {
    const query = ['latency', 'query', '--table', path('table.json')];
    const { blocks } = space.network(space.largest);
    const sum = blocks.reduce((total, block) => total + blockMs(blockCosts(block).macs), 0);
    const answer = await json([...query, '--arch', 'largest']);
    expect(answer).toMatchObject({ device: 'local-cpu', intervalMs: null });
    expect(answer['latencyMs']).toBeCloseTo(sum, 4);
    const block = await json([...query, '--block', blocks[0]!.key]);
    expect(block['latencyMs']).toBeCloseTo(blockMs(blockCosts(blocks[0]!).macs), 6);
  });

  it('latency validate', async () => {
    const table = measuredTableSchema.parse(JSON.parse(readFileSync(path('table.json'), 'utf8')));
    const template = Object.values(table.entries)[0]!;
    const subnets = [space.largest, space.smallest].map((arch) => ({
      architecture: toFile(arch),
      ms: space.network(arch).blocks.reduce((total, block) => total + blockMs(blockCosts(block).macs), 0),
    }));
    table.wholeSubnets = [1.02, 0.98].flatMap((slow) =>
      subnets.map(({ architecture, ms }, i) => {
        const latencyMs = i === 0 ? ms * slow : ms / slow;
        return { ...template, architecture, role: 'check', latencyMs, quietMs: latencyMs };
      }),
    );
    await writeTable(path('checked.json'), table);
    const words = ['latency', 'validate', '--table', path('checked.json')];
    const { passes, ...validation } = await json(words);
    expect(validation).toMatchObject({
      method: 'table',
      errors: { count: 2, within5Percent: 100, kendallTau: 1 },
    });
    expect(passes).toMatchObject({ networks: 2, passes: 2, kendallTau: 1 });
    // Two networks, one degree of freedom: four residuals of about 2 % each.
    expect((passes as { deviationPercent: number }).deviationPercent).toBeCloseTo(4, 1);
    expect((await ofa(words)).stdout).toMatch(/repeats with a standard deviation of 4\.0\d %/);
  });

  it('train, eval, accuracy sample, export and verify', async () => {
    const data = `mnist:${path('digits')}`;
    const schedule = writeSchedule(path('schedule.json'), 0.2, 8);
    const run = path('trained');
    const trained = await json([
      'train',
      ...SPACE_WORDS,
      '--data',
      data,
      '--schedule',
      schedule,
      '--out',
      run,
    ]);
    expect(trained).toMatchObject({ run, steps: 3, skippedImages: [] });

    const evaluate = ['eval', '--supernet', run, '--arch', 'smallest', '--calibration-images', '16'];
    const score = await json([...evaluate, '--split', 'test']);
    expect(score).toMatchObject({ split: 'test', calibrated: true, count: 20 });
    const top1 = score['top1'] as number;
    const binomial = Math.sqrt((top1 * (1 - top1)) / 20);
    expect(score['top1StandardError']).toBeCloseTo(Math.max(binomial, 1 / 42), 12);

    const sample = ['accuracy', 'sample', '--supernet', run, '--count', '3', '--calibration-images', '16'];
    expect(await json(sample)).toMatchObject({ count: 3, split: 'validation', images: 20 });
    const [line] = readFileSync(join(run, 'accuracy.jsonl'), 'utf8').split('\n');
    const { top1: own, count, top1StandardError } = accuracyLineSchema.parse(JSON.parse(line!));
    expect(top1StandardError).toBe(fractionStandardError(own, count));
    // Untrained networks on 20 images: nothing but noise, and said to be.
    expect((await ofa(sample)).stderr).toContain('which is better is mostly chance');

    const onnx = path('smallest.onnx');
    const exported = await json(['export', '--supernet', run, '--arch', 'smallest', '--out', onnx]);
    expect(exported).toMatchObject({ path: onnx, verification: { passed: true } });
    expect(await json(['verify', onnx])).toMatchObject({ file: onnx, passed: true });
  });
});
