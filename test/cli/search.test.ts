import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { frontFileSchema } from '../../src/search/front.js';
import { elementNames } from '../report/xml.js';
import { smallSpace } from '../support/spaces.js';
import { isOneLine, ofa } from './support/cli.js';
import { makeRun, makeTable } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const space = smallSpace();

beforeAll(async () => {
  await makeRun(path('run'), 'mnist', 60, space);
  await makeTable(path('pc.json'), space, 'pc');
  await makeTable(path('pi.json'), space, 'pi', (macs) => 1 + 3 * Math.abs(Math.sin(macs)));
  const fit = ['accuracy', 'fit', '--supernet', path('run'), '--predictor', 'ridge', '--held-out', '10'];
  expect(await ofa(fit)).toMatchObject({ code: 0 });
});

const words = (...more: string[]): string[] => ['search', '--supernet', path('run'), ...more];
const onPc = ['--device', 'pc', '--table'];

interface Row {
  readonly predictedTop1: number;
  readonly predictedMs: number;
  readonly macs: number;
  readonly values: Record<string, number>;
  readonly architecture: object;
}
interface Document {
  readonly strategy: string;
  readonly evaluated: number;
  readonly best: Row;
  readonly front?: Row[];
  readonly picked?: { rule: string; index: number };
  readonly files?: { json: string; csv: string; svg: string };
}

async function json(...more: string[]): Promise<Document> {
  const { code, stdout, stderr } = await ofa([...words(...more), '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Document;
}

async function fails(code: number, message: RegExp, ...more: string[]): Promise<void> {
  const result = await ofa(words(...more));
  expect(result.stderr).toMatch(message);
  expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: '' });
  expect(isOneLine(result.stderr)).toBe(true);
}

describe('ofa search', () => {
  it('gives the best network under limits, without a front', async () => {
    const found = await json(
      ...onPc,
      path('pc.json'),
      '--max-latency-ms',
      '0.3',
      '--limit',
      'modelBytes=40000',
    );
    expect(Object.keys(found)).toEqual(['strategy', 'evaluated', 'best']);
    expect(found.best.predictedMs).toBeLessThanOrEqual(0.3);
    expect(found.best.values['modelBytes']).toBeLessThanOrEqual(40_000);
    expect(existsSync(path('run', 'front'))).toBe(false);
  });

  it('needs no device', async () => {
    const found = await json('--max-params', '10000');
    expect(found.best).not.toHaveProperty('predictedMs');
    expect(found.best.values['params']).toBeLessThanOrEqual(10_000);
  });

  it('knows devices by their tables', async () => {
    const found = await json('--table', path('pc.json'), path('pi.json'), '--limit', 'latencyMs.pi=13');
    expect(found.best.predictedMs).toBe(found.best.values['latencyMs.pc']);
    expect(found.best.values['latencyMs.pi']).toBeLessThanOrEqual(13);
  });
});

describe('ofa search --pareto', () => {
  it('writes the front as JSON, CSV and a picture', async () => {
    const found = await json(...onPc, path('pc.json'), '--pareto', '--pick', 'knee', '--out', path('out'));
    expect(found.files).toEqual({
      json: path('out', 'front.json'),
      csv: path('out', 'front.csv'),
      svg: path('out', 'front.svg'),
    });
    const { files, front = [], picked } = found;
    const file = frontFileSchema.parse(JSON.parse(readFileSync(files!.json, 'utf8')));
    expect(file.points.map(({ values }) => values)).toEqual(front.map(({ values }) => values));
    expect(file.picked).toEqual(picked);
    expect(front[picked!.index]).toEqual(found.best);
    expect(front.length).toBeGreaterThan(2);
    const lines = readFileSync(files!.csv, 'utf8').trimEnd().split('\r\n');
    expect(lines).toHaveLength(front.length + 1);
    expect(lines[0]).toMatch(/^accuracy,latencyMs,macs,.*picked,architecture$/);
    const svg = readFileSync(files!.svg, 'utf8');
    expect(elementNames(svg)[0]).toBe('svg');
    expect(svg).toContain('Picked: knee');
  });

  it('leaves it in the run, and prints it', async () => {
    const { code, stdout } = await ofa(words(...onPc, path('pc.json'), '--pareto', '--pick', 'max-accuracy'));
    expect(code).toBe(0);
    expect(stdout).toContain(`Written: ${path('run', 'front', 'front.json')}`);
    expect(stdout).toMatch(/^picked \(max-accuracy\) +\d/m);
    expect(existsSync(path('run', 'front', 'front.svg'))).toBe(true);
  });

  it("trades anything against anything, a module of one's own too", async () => {
    writeFileSync(
      path('depth.mjs'),
      "export const objective = { name: 'depth', direction: 'maximize', evaluate: (archs) => archs.map(({ d }) => d[0] + d[1]) };",
    );
    const found = await json(
      '--table',
      path('pc.json'),
      path('pi.json'),
      '--pareto',
      '--objective',
      'latencyMs',
      path('depth.mjs'),
      '--out',
      path('own'),
    );
    const file = frontFileSchema.parse(JSON.parse(readFileSync(path('own', 'front.json'), 'utf8')));
    expect(file.objectives.map(({ name }) => name)).toEqual(['latencyMs.pc', 'latencyMs.pi', 'depth']);
    expect(found.front!.map(({ values }) => values['depth'])).toContain(4);
  });

  it('says what it writes where one network is best in everything', async () => {
    const found = await json(
      '--pareto',
      '--objective',
      'macs',
      'params',
      '--pick',
      'knee',
      '--out',
      path('one'),
    );
    expect(found.front).toEqual([found.best]);
    expect(readFileSync(path('one', 'front.svg'), 'utf8')).not.toMatch(/NaN/);
  });
});

describe('ofa search refuses', () => {
  it.each<[string, number, RegExp, string[]]>([
    ['a folder without a front', 2, /--out belongs to --pareto/, ['--out', 'x']],
    ['an unknown rule', 2, /Allowed choices are knee/, ['--pareto', '--pick', 'best']],
    [
      'a strategy for one objective',
      1,
      /"evolution": it seeks one objective/,
      ['--pareto', '--strategy', 'evolution'],
    ],
    ['a limit without a value', 2, /NAME=VALUE is wanted: current value is "macs"/, ['--limit', 'macs']],
    [
      'other numbers of tables and devices',
      2,
      /one for every --device/,
      ['--device', 'a', 'b', '--table', 'x'],
    ],
    [
      'a front on images',
      2,
      /--pareto does not go with --data/,
      ['--device', 'a', '--data', 'mnist', '--pareto'],
    ],
    [
      'two devices on images',
      2,
      /one --device is wanted: there are 2/,
      ['--device', 'a', 'b', '--data', 'mnist'],
    ],
  ])('%s', async (_, code, message, more) => {
    const result = await ofa(words(...more));
    expect(result.stderr).toMatch(message);
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: '' });
  });

  it('limits that cannot be met, and writes nothing', async () => {
    await fails(1, /lowest macs found is \d+ MACs$/m, '--pareto', '--max-macs', '1', '--out', path('none'));
    await fails(
      1,
      /accuracy at least 0\.9 and macs at most \d+ MACs: /,
      '--pareto',
      '--limit',
      'accuracy=0.9',
      'macs=200000',
      '--out',
      path('none'),
    );
    expect(existsSync(path('none'))).toBe(false);
  });

  it('a journal that is damaged, naming the line', async () => {
    const more = ['--strategy', 'linas', '--budget', '20', '--journal', path('journal.jsonl')];
    const found = await json(...more);
    expect(await json(...more)).toEqual(found);
    const text = readFileSync(path('journal.jsonl'), 'utf8');
    writeFileSync(path('journal.jsonl'), text.replace(/"values":\[[\d.]+/, '"values":[NaN'));
    await fails(1, /journal\.jsonl, line 2: it is not JSON|journal\.jsonl.*line 2/, ...more);
  });
});

describe('an objective that never answers', () => {
  it.each([
    [
      'waits for nothing',
      'evaluate: () => new Promise(() => {}),',
      'nothing is running any more that could settle it',
    ],
    [
      'waits too long',
      'timeLimitSeconds: 0.2, evaluate: () => new Promise((resolve) => setTimeout(resolve, 1e9)),',
      'it has not answered after 0.2 s',
    ],
  ])('ends with a message that names it where it %s', async (name, evaluate, message) => {
    const file = path(`${name.replaceAll(' ', '-')}.mjs`);
    writeFileSync(file, `export const objective = { name: 'x', direction: 'minimize', ${evaluate} };`);
    const { code, stderr, stdout } = await ofa(words('--objective', file));
    expect(stderr).toContain(`Cannot evaluate x of ${file}: `);
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  });

  it('ends with a message where its module never loads', async () => {
    const file = path('pending.mjs');
    writeFileSync(file, 'await new Promise(() => {}); export const objective = {};');
    const { code, stderr } = await ofa(words('--objective', file));
    expect(stderr).toContain(`Cannot load the objective ${file}: it waits at its top level`);
    expect(code).toBe(1);
  });
});
