import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { ofa } from './support/cli.js';
import { fewDigits, makeRun, makeTable } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();

/** Libraries that a command had in memory when it ended. */
async function librariesOf(args: readonly string[]): Promise<readonly string[]> {
  const list = path('libraries.json');
  const atExit =
    `process.on('exit', () => process.getBuiltinModule('node:fs')` +
    `.writeFileSync(${JSON.stringify(list)}, JSON.stringify(process.report.getReport().sharedObjects)))`;
  const result = await ofa(args, {
    nodeOptions: ['--import', `data:text/javascript,${encodeURIComponent(atExit)}`],
  });
  expect(result).toMatchObject({ code: 0 });
  return JSON.parse(readFileSync(list, 'utf8')) as string[];
}

const hasRuntime = (libraries: readonly string[]): boolean =>
  libraries.some((file) => /onnxruntime/.test(file));

beforeAll(async () => {
  await makeTable(path('table.json'));
  await makeRun(path('run'), fewDigits(path('digits')));
});

it('latency queries load no runtime', async () => {
  const query = ['latency', 'query', '--table', path('table.json'), '--arch', 'largest'];
  expect(hasRuntime(await librariesOf(query))).toBe(false);
});

it('a command that computes does, so the test above would see it', async () => {
  const evaluate = ['eval', '--supernet', path('run'), '--arch', 'smallest', '--calibration-images', '8'];
  expect(hasRuntime(await librariesOf(evaluate))).toBe(true);
});
