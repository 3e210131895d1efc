import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AccuracyPredictor } from '../../src/accuracy/predictor.js';
import type { Engine } from '../../src/engine/engine.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { openLatencyTable, type LatencyQuery } from '../../src/latency/query.js';
import { fitAccuracy, openAccuracyPredictor } from '../../src/pipeline/accuracy.js';
import { loadObjective, objectiveQuantity } from '../../src/pipeline/ownObjective.js';
import { openRun, type SupernetRun } from '../../src/pipeline/run.js';
import { frontFile, searchRun, type SearchRunRequest } from '../../src/pipeline/search.js';
import { frontFileSchema } from '../../src/search/front.js';
import { nonDominated } from '../../src/search/pareto.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { InfeasibleError, UserError } from '../../src/util/errors.js';
import { makeRun, makeTable } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';
import { smallSpace } from '../support/spaces.js';

const path = temporaryFolder();
const space = smallSpace();
const all = [...enumerateArchitectures(space.genes)];

let engine: Engine;
let run: SupernetRun;
let pc: LatencyQuery;
let pi: LatencyQuery;
let predictor: AccuracyPredictor;

beforeAll(async () => {
  engine = await createOnnxRuntimeEngine({ threads: 1 });
  await makeRun(path('run'), 'mnist', 60, space);
  run = await openRun(path('run'));
  await fitAccuracy({ run, engine, predictor: 'ridge', heldOut: 10, seed: 0 });
  predictor = await openAccuracyPredictor(run, engine);
  await makeTable(path('pc.json'), space, 'pc');
  // Small blocks are dearer there than large ones, so that the devices disagree.
  await makeTable(path('pi.json'), space, 'pi', (macs) => 1 + 3 * Math.abs(Math.sin(macs)));
  pc = await openLatencyTable(path('pc.json'));
  pi = await openLatencyTable(path('pi.json'));
});

const search = (more: Partial<SearchRunRequest>) =>
  searchRun({ run, engine, devices: [{ name: 'pc', latency: pc }], seed: 0, ...more });

const accuracies = async (): Promise<number[]> => (await predictor.predict(all)).map(({ mean }) => mean);
const latencies = (query: LatencyQuery): number[] => all.map((arch) => query.architecture(arch).latencyMs);
const costs = (arch: Architecture) => networkCosts(space.network(arch));
const keys = (archs: readonly Architecture[]): string[] =>
  archs.map((arch) => architectureKey(space.genes, arch)).sort();

/** Values of the front by brute force, each value once. */
const frontOf = (points: readonly (readonly number[])[]): string[] =>
  nonDominated(points, (own) => own)
    .map((own) => own.map((value) => value.toPrecision(6)).join())
    .sort();

describe('searchRun', () => {
  it('finds the best there is under any limits', async () => {
    const [top1, ms] = [await accuracies(), latencies(pc)];
    const params = all.map((arch) => costs(arch).params);
    const [maxMs, maxParams] = [ms, params].map((list) => [...list].sort((a, b) => a - b)[all.length >> 1]!);
    const within = all.map((_, i) => ms[i]! <= maxMs! && params[i]! <= maxParams!);
    const { best, front } = await search({
      limits: [
        { quantity: 'latencyMs', limit: maxMs! },
        { quantity: 'params', limit: maxParams! },
      ],
    });
    expect(best.values['accuracy']).toBeCloseTo(Math.max(...top1.filter((_, i) => within[i])), 6);
    expect(best.values['latencyMs']).toBeLessThanOrEqual(maxMs!);
    expect(best.values['params']).toBe(costs(best.architecture).params);
    expect(front).toEqual([best]);
  });

  it('seeks other things than accuracy, which may be limited instead', async () => {
    const top1 = await accuracies();
    const least = [...top1].sort((a, b) => a - b)[all.length >> 1]!;
    const { best } = await search({
      objectives: ['peakActivationBytes'],
      limits: [{ quantity: 'accuracy', limit: least }],
    });
    const wanted = Math.min(
      ...all.filter((_, i) => top1[i]! >= least).map((arch) => costs(arch).peakActivationBytes),
    );
    expect(best.values['peakActivationBytes']).toBe(wanted);
    expect(best.values['accuracy']).toBeGreaterThanOrEqual(least);
  });

  it('finds the front of accuracy and latency, and picks from it', async () => {
    const [top1, ms] = [await accuracies(), latencies(pc)];
    const request = { run, seed: 0, pareto: true };
    const found = await search({ ...request, pick: 'min-latency' });
    expect(found.objectives.map(({ name }) => name)).toEqual(['accuracy', 'latencyMs']);
    const points = found.front.map(({ values }) => [values['accuracy']!, -values['latencyMs']!]);
    expect(frontOf(points)).toEqual(frontOf(all.map((_, i) => [top1[i]!, -ms[i]!])));
    expect(points).toHaveLength(frontOf(points).length);
    expect(found.best.values['latencyMs']).toBe(Math.min(...ms));
    const file = frontFile(request, found);
    expect(frontFileSchema.parse(JSON.parse(JSON.stringify(file)))).toEqual(file);
    expect(file.picked).toEqual({ rule: 'min-latency', index: found.front.indexOf(found.best) });
  });

  it('takes the best in the first objective where nobody picks', async () => {
    const found = await search({ pareto: true, objectives: ['macs', 'accuracy'] });
    expect(found.best.values['macs']).toBe(costs(space.smallest).macs);
    expect(found.picked).toBeUndefined();
  });

  it('knows latencies of any number of devices', async () => {
    const devices = [
      { name: 'pc', latency: pc },
      { name: 'pi', latency: pi },
    ];
    const [onPc, onPi] = [latencies(pc), latencies(pi)];
    const found = await search({ devices, pareto: true, objectives: ['latencyMs', 'params'] });
    expect(found.objectives.map(({ name }) => name)).toEqual(['latencyMs.pc', 'latencyMs.pi', 'params']);
    const points = found.front.map(({ values }) =>
      ['latencyMs.pc', 'latencyMs.pi', 'params'].map((name) => -values[name]!),
    );
    const wanted = all.map((arch, i) => [-onPc[i]!, -onPi[i]!, -costs(arch).params]);
    expect(frontOf(points)).toEqual(frontOf(wanted));
    const limit = [...onPi].sort((a, b) => a - b)[10]!;
    const { best } = await search({ devices, limits: [{ quantity: 'latencyMs.pi', limit }] });
    expect(best.values['latencyMs.pi']).toBeLessThanOrEqual(limit);
    // One device: its name may be said.
    const one = await search({ limits: [{ quantity: 'latencyMs.pc', limit: Math.min(...onPc) }] });
    expect(one.best.values['latencyMs']).toBe(Math.min(...onPc));
  });

  it('does without a predictor where accuracy is not asked', async () => {
    await makeRun(path('bare'), 'mnist', 3, space);
    const bare = await openRun(path('bare'));
    const { best } = await search({ run: bare, objectives: ['latencyMs'] });
    expect(best.values['latencyMs']).toBe(Math.min(...latencies(pc)));
    expect(best.values).not.toHaveProperty('accuracy');
    await expect(search({ run: bare })).rejects.toThrow(/no predictor was fitted/);
  });

  it('has a front of one network where one is best in everything', async () => {
    const { front, best } = await search({ pareto: true, objectives: ['macs', 'params'], pick: 'knee' });
    expect(keys(front.map(({ architecture }) => architecture))).toEqual(keys([space.smallest]));
    expect(front).toEqual([best]);
  });

  it.each<[string, Partial<SearchRunRequest>, RegExp]>([
    [
      'a front of one objective',
      { pareto: true, objectives: ['macs'] },
      /two objectives or more: there is one, macs/,
    ],
    ['the same twice', { pareto: true, objectives: ['macs', 'macs'] }, /two objectives or more/],
    ['several without a front', { objectives: ['macs', 'params'] }, /only a front/],
    ['a pick without a front', { pick: 'knee' }, /Cannot pick by knee: only a front/],
    [
      'a pick of something else',
      { pareto: true, pick: 'min-latency', objectives: ['accuracy', 'macs'] },
      /latencyMs must be/,
    ],
    [
      'a strategy for one objective',
      { pareto: true, strategy: 'evolution' },
      /it seeks one objective: there are 2 .* those that seek several are nsga2/,
    ],
    ['an unknown strategy', { strategy: 'luck' }, /Unknown search strategy "luck"/],
    [
      'an unknown objective',
      { objectives: ['speed'] },
      /Unknown objective "speed": known are accuracy, latencyMs, macs/,
    ],
    [
      'latencies of no device',
      { devices: [], objectives: ['latencyMs'] },
      /a device or its latency table is wanted/,
    ],
    [
      'a quantity limited twice',
      {
        limits: [
          { quantity: 'macs', limit: 1e9 },
          { quantity: 'macs', limit: 2e9 },
        ],
      },
      /Cannot limit macs twice/,
    ],
  ])('refuses %s', async (_, more, message) => {
    await expect(search(more)).rejects.toThrow(UserError);
    await expect(search(more)).rejects.toThrow(message);
  });

  it.each([false, true])('says what is possible where limits cannot be met (front: %s)', async (pareto) => {
    const impossible = { pareto, limits: [{ quantity: 'macs', limit: 1 }] };
    await expect(search(impossible)).rejects.toThrow(InfeasibleError);
    await expect(search(impossible)).rejects.toThrow(/lowest macs found is \d+/);
    const top1 = Math.max(...(await accuracies()));
    const contradictory = {
      pareto,
      limits: [
        { quantity: 'accuracy', limit: 0.999 * top1 },
        { quantity: 'macs', limit: costs(space.smallest).macs },
      ],
    };
    await expect(search(contradictory)).rejects.toThrow(/each limit can be met, but .*together/);
  });

  it('goes on from a journal, and refuses one of other answers', async () => {
    const journal = path('journal.jsonl');
    const request = { strategy: 'linas', budget: 25, journal };
    const found = await search(request);
    const again = await search(request);
    expect(again.best).toEqual(found.best);
    await expect(search({ ...request, devices: [{ name: 'pc', latency: pi }] })).rejects.toThrow(
      /its origin must be/,
    );
  });
});

describe("objectives of one's own", () => {
  const objective = {
    name: 'ks',
    direction: 'minimize',
    evaluate: (archs: readonly Architecture[]) => archs.map(({ ks }) => ks.reduce((a, b) => a + b, 0)),
  };

  it('are sought and limited like any other', async () => {
    const file = path('kernels.mjs');
    writeFileSync(
      file,
      `export const objective = { name: 'kernels', unit: 'pixels', direction: 'maximize',
        evaluate: (archs) => archs.map(({ ks, d }) => ks[0] + d[0]) };`,
    );
    const { best } = await search({ objectives: [file] });
    expect(best.architecture.ks[0]! + best.architecture.d[0]!).toBe(7);
    const limited = await search({ limits: [{ quantity: file, limit: 7 }], objectives: ['macs'] });
    expect(limited.best.values['kernels']).toBe(7);
    const front = await search({ objectives: ['macs', file], pareto: true });
    expect(front.front.map(({ values }) => values['kernels'])).toContain(7);
    await expect(search({ limits: [{ quantity: file, limit: 8 }] })).rejects.toThrow(
      /highest kernels found is 7 pixels/,
    );
  });

  it('are measured one by one where they say so, in few evaluations', async () => {
    let calls = 0;
    const quantity = objectiveQuantity(
      {
        ...objective,
        measured: true,
        evaluate: (archs: readonly Architecture[]) => (calls++, [archs[0]!.ks[0]!]),
      },
      space,
      'x.js',
    );
    expect(quantity.chunk).toBe(1);
    expect(await quantity.evaluate([space.smallest])).toEqual([3]);
    expect(calls).toBe(1);
  });

  it('that are measured are sought by few evaluations, guided by a model of them', async () => {
    const file = path('measured.mjs');
    writeFileSync(
      file,
      `export const asked = [];
      export const objective = { name: 'watts', unit: 'W', direction: 'minimize', measured: true,
        evaluate: (archs) => { asked.push(archs.length); return archs.map(({ e, d }) => e[0] * d[0]); } };`,
    );
    const { strategy, evaluated } = await search({ objectives: [file], budget: 30 });
    expect(strategy).toBe('linas');
    expect(evaluated).toBe(30);
    const { asked } = (await import(pathToFileURL(file).href)) as { asked: number[] };
    expect(asked).toEqual(Array.from({ length: 30 }, () => 1));
  });

  it.each<[string, object, RegExp]>([
    ['no name', { name: '' }, /x\.js at "name": letters and digits are wanted/],
    ['no direction', { direction: 'down' }, /at "direction"/],
    ['no function', { evaluate: 3 }, /at "evaluate": a function is wanted/],
  ])('are refused with %s', (_, part, message) => {
    expect(() => objectiveQuantity({ ...objective, ...part }, space, 'x.js')).toThrow(message);
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('no meter\nat line 3');
      },
      /Cannot evaluate ks of x\.js: no meter$/,
    ],
    ['gives no list', () => 3, /a list of numbers.*it gave number/],
    ['gives null', () => null, /it gave null/],
  ])('name the module where its function %s', async (_, evaluate, message) => {
    const quantity = objectiveQuantity({ ...objective, evaluate }, space, 'x.js');
    await expect(Promise.resolve(quantity.evaluate([space.smallest]))).rejects.toThrow(message);
  });

  it('are given up after the time that they say they take at most', async () => {
    const never = new Promise<number[]>(() => undefined);
    const late = { ...objective, timeLimitSeconds: 0.05, evaluate: () => never };
    await expect(
      Promise.resolve(objectiveQuantity(late, space, 'x.js').evaluate([space.smallest, space.largest])),
    ).rejects.toThrow(
      /Cannot evaluate ks of x\.js: it has not answered after 0\.05 s, asked about 2 architectures; .*"timeLimitSeconds"/,
    );
    const slow = { ...objective, timeLimitSeconds: 60, evaluate: () => sleep(20).then(() => [4]) };
    expect(await objectiveQuantity(slow, space, 'x.js').evaluate([space.smallest])).toEqual([4]);
    expect(() => objectiveQuantity({ ...objective, timeLimitSeconds: 0 }, space, 'x.js')).toThrow(
      /x\.js at "timeLimitSeconds"/,
    );
  });

  it('end a search where they answer nonsense', async () => {
    const file = path('nan.mjs');
    writeFileSync(
      file,
      "export const objective = { name: 'x', direction: 'minimize', evaluate: (a) => a.map(() => NaN) };",
    );
    await expect(search({ objectives: [file] })).rejects.toThrow(/x must be a finite number: it is NaN/);
  });

  it.each([
    ['is not there', undefined, /there is no such file/],
    ['does not parse', 'export const objective = {', /Cannot load the objective .*: /],
    ['exports something else', 'export const goal = 1;', /must export "objective": it exports goal/],
    ['exports nothing', '', /it exports nothing/],
    [
      'takes the name of another',
      "export const objective = { name: 'macs', direction: 'minimize', evaluate: () => [] };",
      /two quantities have this name/,
    ],
  ])('are refused where the module %s', async (what, text, message) => {
    const file = path(`${what.replaceAll(' ', '-')}.mjs`);
    if (text !== undefined) writeFileSync(file, text);
    await expect(search({ objectives: [file] })).rejects.toThrow(message);
    await expect(loadObjective(path('nowhere.js'), space)).rejects.toThrow(UserError);
  });
});
