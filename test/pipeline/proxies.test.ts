/** Scores are added to an accuracy data set, once, as one computation; and ranked by the definition of Kendall's tau. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { readAccuracies } from '../../src/accuracy/dataset.js';
import { zeroCostProxies } from '../../src/accuracy/proxies/index.js';
import { createProxyScorer, scoreAccuracyData } from '../../src/pipeline/proxies.js';
import { openLoader } from '../../src/pipeline/run.js';
import { createRuntime } from '../../src/pipeline/runtime.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { InterruptedError, UserError } from '../../src/util/errors.js';
import { silentLogger } from '../../src/util/logger.js';
import { fewDigits, makeRun, space } from '../cli/support/fixture.js';

const root = mkdtempSync(join(tmpdir(), 'ofakit-proxies-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const data = fewDigits(join(root, 'digits'));
const file = join(root, 'run', 'accuracy.jsonl');

beforeEach(() => makeRun(join(root, 'run'), data, 12));

/** A score that ranks as accuracies do, as the run's accuracies grow with MACs. */
function byCosts(asked: string[] = [], factor = 1) {
  return (arch: Architecture): Promise<Record<string, number>> => {
    asked.push(architectureKey(space.genes, arch));
    const { macs } = networkCosts(space.network(arch));
    return Promise.resolve({ snip: factor * macs, grasp: -macs });
  };
}

const request = { space, file, names: ['snip', 'grasp'], again: false, logger: silentLogger };

describe('scores of an accuracy data set', () => {
  it('are written beside the accuracies and ranked', async () => {
    const before = await readAccuracies(file, space);
    const report = await scoreAccuracyData({ ...request, score: byCosts() });
    expect(report).toMatchObject({
      file,
      count: 12,
      proxies: [
        { name: 'snip', networks: 12, kendallTau: 1, spearman: 1 },
        { name: 'grasp', networks: 12, kendallTau: -1, spearman: -1 },
      ],
    });
    expect(report.baselines.map(({ name }) => name)).toEqual(['macs', 'params']);
    expect(report.baselines[0]).toMatchObject({ kendallTau: 1 });
    const after = await readAccuracies(file, space);
    expect(after.map(({ proxies: _, ...rest }) => rest)).toEqual(before);
    for (const { architecture, proxies } of after) {
      const { macs } = networkCosts(space.network(architecture));
      expect(proxies).toEqual({ snip: macs, grasp: -macs });
    }
  });

  it('are computed once; other proxies stay', async () => {
    await scoreAccuracyData({ ...request, score: byCosts() });
    const asked: string[] = [];
    await scoreAccuracyData({ ...request, score: byCosts(asked) });
    // One network again, to see that nothing else has changed.
    expect(asked).toHaveLength(1);
    const naswot = (): Promise<Record<string, number>> => Promise.resolve({ naswot: 7 });
    const { proxies } = await scoreAccuracyData({ ...request, names: ['naswot'], score: naswot });
    expect(proxies).toEqual([{ name: 'naswot', networks: 12, kendallTau: null, spearman: null }]);
    const [first] = await readAccuracies(file, space);
    expect(Object.keys(first!.proxies!).sort()).toEqual(['grasp', 'naswot', 'snip']);
  });

  it('of other images are not mixed with those there, unless all are computed anew', async () => {
    await scoreAccuracyData({ ...request, score: byCosts() });
    const text = readFileSync(file, 'utf8');
    const other = byCosts([], 2);
    await expect(scoreAccuracyData({ ...request, score: other })).rejects.toThrow(UserError);
    expect(readFileSync(file, 'utf8')).toBe(text);
    await scoreAccuracyData({ ...request, score: other, again: true });
    for (const { proxies } of await readAccuracies(file, space))
      expect(proxies!['snip']).toBe(-2 * proxies!['grasp']!);
  });

  it('go on where they were stopped', async () => {
    const stop = new AbortController();
    const asked: string[] = [];
    const score = byCosts(asked);
    const stopping = (arch: Architecture): Promise<Record<string, number>> => {
      if (asked.length === 4) stop.abort();
      return score(arch);
    };
    const interrupted = scoreAccuracyData({ ...request, score: stopping, signal: stop.signal });
    await expect(interrupted).rejects.toThrow(InterruptedError);
    const scored = (await readAccuracies(file, space)).filter(({ proxies }) => proxies !== undefined);
    expect(scored).toHaveLength(5);
    await scoreAccuracyData({ ...request, score });
    // Five, one of them again, and the other seven.
    expect(asked).toHaveLength(13);
    expect(new Set(asked).size).toBe(12);
  });

  it('that a network has none of are left out', async () => {
    let count = 0;
    const score = (): Promise<Record<string, number>> => Promise.resolve(count++ < 3 ? {} : { snip: count });
    const { proxies } = await scoreAccuracyData({ ...request, names: ['snip'], score });
    expect(proxies[0]!.networks).toBe(9);
  });

  it('need accuracies', async () => {
    const none = scoreAccuracyData({ ...request, file: join(root, 'none.jsonl'), score: byCosts() });
    await expect(none).rejects.toThrow(/there are none in .*ofa accuracy sample/);
  });
});

it('real scores depend on the network, the seed and the images alone', async () => {
  const loader = await openLoader(space, data, { batchSize: 1, seed: 0 });
  const runtime = await createRuntime({ threads: 1 });
  try {
    const options = { space, loader, runtime, proxies: [...zeroCostProxies.values()], images: 16, seed: 0 };
    const score = createProxyScorer(options);
    const smallest = await score(space.smallest);
    expect(Object.keys(smallest)).toEqual([...zeroCostProxies.keys()]);
    expect(await score(space.largest)).not.toEqual(smallest);
    expect(await createProxyScorer(options)(space.smallest)).toEqual(smallest);
    const other = await createProxyScorer({ ...options, seed: 1 })(space.smallest);
    for (const [name, value] of Object.entries(smallest)) expect(other[name], name).not.toBe(value);
  } finally {
    await loader.close();
    await runtime.dispose();
  }
});
