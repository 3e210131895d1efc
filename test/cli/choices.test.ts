/** Commands that fit together: a run, a space, a table or a device stand for one another wherever that makes sense. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { architectureFileSchema, fromFile } from '../../src/space/architecture.js';
import { networkCosts } from '../../src/space/costs.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { openLatencyTable } from '../../src/latency/query.js';
import { smallSpace } from '../support/spaces.js';
import { isOneLine, ofa } from './support/cli.js';
import { makeRun, makeTable } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const space = smallSpace();
const SMALLEST = '{"image_size":16,"ks":3,"e":2,"d":1}';

beforeAll(async () => {
  await makeRun(path('run'), 'mnist', 24, space);
  mkdirSync(path('latency-tables', 'pc'), { recursive: true });
  await makeTable(path('latency-tables', 'pc', 'small.json'), space, 'pc');
});

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await ofa([...args, '--json'], { cwd: path() });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function refused(message: RegExp, code: number, ...args: string[]): Promise<void> {
  const result = await ofa(args, { cwd: path() });
  expect(result.stderr).toMatch(message);
  expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: '' });
  expect(isOneLine(result.stderr)).toBe(true);
}

describe('--supernet in place of --space', () => {
  it('counts costs of a subnet of a run', async () => {
    const { macs } = networkCosts(space.network(space.largest));
    expect(await json('cost', '--supernet', 'run', '--arch', 'largest')).toMatchObject({
      space: 'small',
      macs,
    });
  });

  it('measures for the space of a run', async () => {
    // One network of three blocks: measuring takes seconds.
    const few = smallSpace([{ depth: [1], kernel: [3], expand: [2] }], [16]);
    await makeRun(path('few'), 'mnist', 1, few);
    const words = ['measure', '--supernet', 'few', '--device', 'local-cpu', '--protocol', 'quick', '--json'];
    // On a busy machine there is a warning on stderr.
    const { code, stdout } = await ofa(words, { cwd: path() });
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as Record<string, unknown>;
    expect(result).toMatchObject({
      space: 'small',
      failures: {},
      table: join('latency-tables', 'local-cpu', 'small.json'),
    });
    const table = JSON.parse(readFileSync(path(result['table'] as string), 'utf8')) as { space: unknown };
    expect(table.space).toEqual(JSON.parse(JSON.stringify(few.file)));
  });

  it('wants one of the two, and no other width of a run', async () => {
    await refused(
      /either --space or --supernet is wanted: there is neither/,
      2,
      'measure',
      '--device',
      'local-cpu',
    );
    const both = ['--space', 'mbv3-tiny', '--supernet', 'run'];
    await refused(/there are both/, 2, 'measure', ...both, '--device', 'local-cpu');
    await refused(/there are both/, 2, 'search', ...both);
    await refused(
      /--width goes with --space/,
      2,
      'cost',
      '--supernet',
      'run',
      '--width',
      '2',
      '--arch',
      'largest',
    );
    await refused(/--image-sizes goes with --space/, 2, 'search', '--supernet', 'run', '--image-sizes', '16');
    await refused(/no supernet in it/, 1, 'cost', '--supernet', 'nothing', '--arch', 'largest');
  });
});

describe('--device in place of --table', () => {
  it('asks the table of a device for the space of a run', async () => {
    const byFile = await json(
      'latency',
      'query',
      '--table',
      'latency-tables/pc/small.json',
      '--arch',
      SMALLEST,
    );
    expect(await json('latency', 'query', '--device', 'pc', '--supernet', 'run', '--arch', SMALLEST)).toEqual(
      byFile,
    );
  });

  it('finds a shipped table by device, space and width', async () => {
    const words = ['latency', 'query', '--device', 'note10', '--space', 'ofa-mbv3'];
    const arch = '{"image_size":224,"ks":3,"e":3,"d":2}';
    expect(await json(...words, '--width', '1.2', '--arch', arch)).toMatchObject({ device: 'note10' });
    await refused(/ofa-mbv3\.json is for width 1\.2 with 1000 classes/, 1, ...words, '--arch', arch);
  });

  it('wants one of the two', async () => {
    await refused(/either --table or --device is wanted: there is neither/, 2, 'latency', 'validate');
    const both = ['--table', 'x.json', '--device', 'pc'];
    await refused(/there are both/, 2, 'latency', 'query', ...both, '--arch', 'largest');
    await refused(
      /either --space or --supernet/,
      2,
      'latency',
      'query',
      '--device',
      'pc',
      '--arch',
      'largest',
    );
  });
});

describe('ofa search --space', () => {
  it('finds the largest network within a latency without a supernet', async () => {
    const query = await openLatencyTable(path('latency-tables', 'pc', 'small.json'));
    const all = [...enumerateArchitectures(space.genes)].map((arch) => ({
      ms: query.architecture(arch).latencyMs,
      macs: networkCosts(space.network(arch)).macs,
    }));
    const limit = all.map(({ ms }) => ms).sort((a, b) => a - b)[all.length >> 1]!;
    const best = Math.max(...all.filter(({ ms }) => ms <= limit).map(({ macs }) => macs));
    writeFileSync(path('small.json'), JSON.stringify(space.file));
    const words = ['search', '--space', './small.json', '--device', 'pc', '--max-latency-ms', `${limit}`];
    const found = (await json(...words, '--objective', 'macs:max'))['best'] as {
      macs: number;
      predictedMs: number;
      architecture: unknown;
    };
    expect(found.macs).toBe(best);
    expect(found.predictedMs).toBeLessThanOrEqual(limit);
    const arch = fromFile(architectureFileSchema.parse(found.architecture));
    expect(networkCosts(space.network(arch)).macs).toBe(best);
    const front = await json(...words, '--pareto', '--objective', 'macs:max', 'latencyMs');
    expect(front['files']).toMatchObject({ json: join('front', 'front.json') });
    await refused(/nothing predicts accuracies, so --objective is wanted/, 2, ...words);
    await refused(/Cannot search by accuracy without a supernet/, 1, ...words, '--objective', 'accuracy');
  });
});

describe('ofa specialize --table', () => {
  it('takes a table for every device', async () => {
    const words = ['specialize', '--supernet', 'run', '--max-latency-ms', '1', '--out', 'models'];
    const two = ['--device', 'local-cpu', 'local-cpu-2t', '--table', 'a.json'];
    await refused(/one for every --device is wanted, 2 in all: there are 1/, 2, ...words, ...two);
    await refused(
      /"local-cpu" is there twice/,
      2,
      ...words,
      '--device',
      'local-cpu',
      'local-cpu',
      '--table',
      'a',
      'b',
    );
    await refused(/missing\.json/, 1, ...words, '--device', 'local-cpu', '--table', 'missing.json');
  });
});
