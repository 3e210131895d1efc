/** `ofa bench search` as a command: its document, its table, and words that make no sense. */
import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalMacro } from '../../src/accuracy/benchmarks/nasBenchMacro.js';
import { ofa } from './support/cli.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const entries = Array.from({ length: 3 ** 8 }, (_, i) => i.toString(3).padStart(8, '0'))
  .filter((text) => canonicalMacro(text) === text)
  .filter((_, i) => i % 5 === 0)
  .map((text, i) => [text, { mean_acc: 60 + 30 * Math.sin(i), params: 1000 + i, flops: 1e6 + 7 * i }]);
const words = (...more: string[]): string[] => ['bench', 'search', '--data', path('macro.json'), ...more];
const quick = ['--strategies', 'evolution', '--queries', '5,20', '--seeds', '2'];

beforeAll(() => writeFileSync(path('macro.json'), JSON.stringify(Object.fromEntries(entries))));

describe('ofa bench search', () => {
  it('prints one document, and goes on from its file', async () => {
    const run = () => ofa(words(...quick, '--out', path('runs.jsonl'), '--json'));
    const { code, stdout, stderr } = await run();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const document = JSON.parse(stdout) as { strategies: { strategy: string; seeds: number }[] };
    expect(document).toMatchObject({
      on: 'nas-bench-macro',
      seeds: 2,
      predicted: null,
      table: 'nas-bench-macro',
      networks: entries.length,
      axis: 'macs',
    });
    expect(document.strategies.map(({ strategy, seeds }) => [strategy, seeds])).toEqual([
      ['random', 2],
      ['evolution', 2],
    ]);
    expect((await run()).stdout).toBe(stdout);
  });

  it('prints a table', async () => {
    const { code, stdout } = await ofa(words(...quick));
    expect(code).toBe(0);
    const [title, header, ...rows] = stdout.trimEnd().split('\n');
    expect(title).toBe(`nas-bench-macro: ${entries.length} networks; regret in points of accuracy`);
    expect(header).toMatch(/^strategy +seeds +regret, 5 queries +regret, 20 queries +.*beats random/);
    expect(rows.map((row) => row.split(' ')[0])).toEqual(['random', 'evolution']);
  });

  it.each([
    [['bench', 'search'], 2, '--data is wanted with --on nas-bench-macro'],
    [['bench', 'search', '--on', 'accuracy'], 2, '--supernet is wanted with --on accuracy'],
    [words('--front-share', '2'), 2, 'a share of at most 1 is wanted'],
    [words('--queries', '0'), 2, 'a whole number of at least 1 is wanted'],
    [words('--strategies', 'luck'), 1, 'Unknown search strategy "luck"'],
    [words('--strategies', 'exhaustive'), 1, 'it lists every network'],
    [words('--axis', 'latencyMs'), 1, 'Unknown quantity of benchmark "nas-bench-macro" "latencyMs"'],
    [words('--queries', '5,9999'), 1, `queries must be from 1 to ${entries.length}`],
    [['bench', 'search', '--data', 'nowhere.json'], 1, 'there is no such file'],
  ])('says in one line what is wrong with %j', async (args, expected, message) => {
    const { code, stdout, stderr } = await ofa(args);
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
    expect(stderr.trimEnd().split('\n').length).toBe(1);
    expect(stderr).toContain(message);
  });
});
