/** The search over a supernet's paths, with its command: limits, journal, and networks that the supernet measures. */
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createEvaluator, openLoader, openRun } from '../../src/pipeline/run.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import { searchSupernetPaths } from '../../src/pipeline/searchPaths.js';
import { costQuantities } from '../../src/search/quantity.js';
import { architectureKey } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { checkArchitecture } from '../../src/space/space.js';
import { InfeasibleError, UserError } from '../../src/util/errors.js';
import { silentLogger } from '../../src/util/logger.js';
import { ofa } from '../cli/support/cli.js';
import { fewDigits, makeRun, makeTable, space } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';

const path = temporaryFolder();
let data: string;
beforeAll(async () => {
  data = fewDigits(path('digits'), 30);
  await makeRun(path('run'), data);
  await makeTable(path('table.json'));
});

const { macs } = costQuantities(space);
const [least, most] = [space.smallest, space.largest].map(
  (arch) => networkCosts(space.network(arch)).macs,
) as [number, number];

async function run(
  more: { readonly limit?: number; readonly journal?: string; readonly seed?: number } = {},
) {
  const supernet = await openRun(path('run'));
  const runtime = await createRuntime({ threads: 1 });
  const loader = await openLoader(supernet.space, data, { batchSize: 1, seed: 0 });
  try {
    return await searchSupernetPaths({
      run: supernet,
      loader,
      executor: runtime.executor,
      evaluator: createEvaluator(supernet, loader, runtime, { calibrationImages: 20 }),
      constraints: [{ quantity: macs, limit: more.limit ?? (least + most) / 2 }],
      settings: { steps: 5 },
      batch: 8,
      finalists: 3,
      seed: more.seed ?? 0,
      logger: silentLogger,
      ...(more.journal === undefined ? {} : { journal: more.journal }),
    });
  } finally {
    await loader.close();
    await runtime.dispose();
  }
}

describe('a search over the paths of a supernet', () => {
  it('gives distinct networks within the limits, the most accurate first', async () => {
    const { best, finalists, steps } = await run();
    expect(steps).toBe(5);
    expect(finalists).toHaveLength(3);
    expect(best).toBe(finalists[0]);
    const keys = finalists.map(({ architecture }) => architectureKey(space.genes, architecture));
    expect(new Set(keys).size).toBe(3);
    finalists.forEach(({ architecture, top1 }, i) => {
      checkArchitecture(space.genes, architecture, space.name);
      expect(networkCosts(space.network(architecture)).macs).toBeLessThanOrEqual((least + most) / 2);
      if (i > 0) expect(top1).toBeLessThanOrEqual(finalists[i - 1]!.top1);
    });
  });

  it('is the same for the same seed, with a journal or without', async () => {
    const journal = path('paths.jsonl');
    const first = await run({ journal });
    expect(readFileSync(journal, 'utf8').trimEnd().split('\n')).toHaveLength(6);
    expect(await run({ journal })).toEqual(first);
    expect(await run()).toEqual(first);
    await expect(run({ journal, seed: 1 })).rejects.toThrow(UserError);
  });

  it('refuses limits that nothing meets before it runs anything', async () => {
    const journal = path('none.jsonl');
    await expect(run({ limit: least / 2, journal })).rejects.toThrow(InfeasibleError);
    expect(existsSync(journal)).toBe(false);
  });
});

describe('ofa search --data', () => {
  const words = ['search', '--device', 'local-cpu', '--steps', '2', '--finalists', '2', '--json'];
  it('searches on the supernet', async () => {
    const more = ['--supernet', path('run'), '--table', path('table.json'), '--data', data];
    const limit = String((least + most) / 2);
    const found = await ofa([...words, ...more, '--strategy', 'differentiable', '--max-macs', limit]);
    expect(found.code).toBe(0);
    const document = JSON.parse(found.stdout) as { best: { macs: number }; finalists: unknown[] };
    expect(document).toMatchObject({ strategy: 'differentiable', steps: 2 });
    expect(document.finalists).toHaveLength(2);
    expect(document.best).toEqual(document.finalists[0]);
    expect(document.best.macs).toBeLessThanOrEqual(Number(limit));
    const other = await ofa([...words, ...more, '--strategy', 'evolution']);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/--data belongs to --strategy differentiable: the strategy is "evolution"/);
  });
});
