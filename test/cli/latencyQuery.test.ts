import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { measuredTableSchema, readTable, writeTable } from '../../src/latency/table.js';
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

it('of a table that was measured under load say so, in a warning and in JSON', async () => {
  const table = measuredTableSchema.parse(await readTable(path('table.json')));
  const query = async (load: (i: number) => object): Promise<{ load: unknown; stderr: string }> => {
    const entries = Object.entries(table.entries).map(([key, entry], i) => [key, { ...entry, ...load(i) }]);
    await writeTable(path('loaded.json'), { ...table, entries: Object.fromEntries(entries) as never });
    const words = ['latency', 'query', '--table', path('loaded.json'), '--json'];
    const [subnet, block] = await Promise.all([
      ofa([...words, '--arch', 'smallest']),
      ofa([...words, '--block', Object.keys(table.entries)[0]!]),
    ]);
    expect(block.stderr).toBe(subnet.stderr);
    const answers = [subnet, block].map(({ stdout }) => (JSON.parse(stdout) as { load: unknown }).load);
    expect(answers[0]).toEqual(answers[1]);
    return { load: answers[0], stderr: subnet.stderr };
  };
  const measurements = Object.keys(table.entries).length;
  const known = { measurements, contention: 0 };
  expect(await query(() => ({}))).toEqual({ load: { ...known, otherLoad: null, loaded: false }, stderr: '' });
  expect(await query(() => ({ otherLoad: 0.04 }))).toEqual({
    load: { ...known, otherLoad: 0.04, loaded: false },
    stderr: '',
  });
  const busy = await query(() => ({ otherLoad: 0.52 }));
  expect(busy.load).toEqual({ ...known, otherLoad: 0.52, loaded: true });
  expect(busy.stderr).toMatch(
    /^Warning: The table was measured under load: other processes kept 52 % of the processors busy .*\n$/,
  );
  const contended = await query((i) => ({ flags: i % 2 === 0 ? ['contention'] : [] }));
  expect(contended.load).toMatchObject({ otherLoad: null, loaded: true });
  expect(contended.stderr).toMatch(/under load: in 5\d % of the measurements they took the processor away/);
});

it('of a table whose loads are damaged answer all the same', async () => {
  const table = JSON.parse(readFileSync(path('table.json'), 'utf8')) as { entries: Record<string, object> };
  for (const [key, entry] of Object.entries(table.entries))
    table.entries[key] = { ...entry, otherLoad: 'much', flags: 7 };
  writeFileSync(path('damaged.json'), JSON.stringify(table));
  const words = ['latency', 'query', '--table', path('damaged.json'), '--json', '--arch', 'smallest'];
  const { code, stdout } = await ofa(words);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ load: { otherLoad: null, contention: 0, loaded: false } });
});
