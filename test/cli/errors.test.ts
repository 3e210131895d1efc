import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { listSpaces } from '../../src/space/presets.js';
import { deviceNames } from '../../src/device/profile.js';
import { datasets } from '../../src/data/index.js';
import { networkCosts } from '../../src/space/costs.js';
import { encodeSafetensors } from '../../src/supernet/safetensors.js';
import { shippedSpace } from '../support/spaces.js';
import { isOneLine, ofa } from './support/cli.js';
import { blockMs, fewDigits, makeRun, makeTable, space, SPACE_WORDS } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const arch = (change: object): string => {
  const { imageSize, ks, e, d } = space.largest;
  return JSON.stringify({ image_size: imageSize, ks, e, d, ...change });
};
const withKernel = (kernel: number): readonly number[] =>
  space.largest.ks.map((k, i) => (i === 1 ? kernel : k));

/** Fails as the contract says: exit code, nothing on stdout, one line on stderr that matches. */
async function expectFailure(args: readonly string[], code: number, message: RegExp): Promise<string> {
  const result = await ofa(args);
  expect(result).toMatchObject({ code, stdout: '' });
  expect(result.stderr).toMatch(message);
  expect(isOneLine(result.stderr)).toBe(true);
  return result.stderr;
}

beforeAll(async () => {
  const data = fewDigits(path('digits'));
  await makeRun(path('run'), data);
  await makeTable(path('table.json'));
});

describe('wrong usage exits with 2', () => {
  it.each([
    ['an unknown command', ['fly'], /unknown command 'fly'/],
    ['an unknown option', ['space', 'list', '--wings'], /unknown option '--wings'/],
    ['a missing option', ['eval', '--supernet', 'run'], /required option '--arch <arch>' not specified/],
    ['nothing to count', ['cost', '--space', 'mbv3-tiny'], /either --space and --arch or --net is wanted/],
    ['a missing argument', ['space', 'show'], /missing required argument 'name'/],
    ['too many arguments', ['space', 'list', 'all'], /too many arguments/],
    [
      'a word for a number',
      ['space', 'show', 'mbv3-tiny', '--width', 'x'],
      /--width: a number above 0 .* "x"/,
    ],
    ['a number out of bounds', ['space', 'show', 'mbv3-tiny', '--classes', '0'], /at least 1.* "0"/],
    [
      'a choice that is none',
      ['eval', '--supernet', 'r', '--arch', 'a', '--split', 'all'],
      /Allowed choices are/,
    ],
    ['no question', ['latency', 'query', '--table', 't'], /either --arch or --block is wanted/],
    [
      'a flag for corrupt images that is none',
      ['eval', '--supernet', 'r', '--arch', 'a', '--on-corrupt', 'x'],
      /skip/,
    ],
  ] as const)('%s', async (_, args, message) => {
    await expectFailure(args, 2, message);
  });

  it('no command at all shows the help', async () => {
    const result = await ofa([]);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toMatch(/^Usage: ofa/);
  });
});

describe('unknown names list those that exist', () => {
  const known = (names: Iterable<string>): string => `known are ${[...names].sort().join(', ')}`;

  it.each([
    ['space', ['cost', '--space', 'nix', '--arch', 'largest'], known(listSpaces())],
    ['data set', ['train', ...SPACE_WORDS, '--data', 'nix', '--out', path('never')], known(datasets.keys())],
    ['device', ['device', 'check', 'nix'], known(deviceNames())],
    [
      'device',
      ['measure', ...SPACE_WORDS, '--device', 'nix', '--table', path('never.json')],
      known(deviceNames()),
    ],
    [
      'schedule',
      ['train', ...SPACE_WORDS, '--data', 'mnist', '--schedule', 'nix', '--out', path('never')],
      'progressive',
    ],
    [
      'protocol',
      ['measure', ...SPACE_WORDS, '--device', 'local-cpu', '--protocol', 'nix'],
      'quick, standard, thorough',
    ],
    [
      'predictor',
      ['latency', 'query', '--table', path('table.json'), '--arch', 'largest', '--method', 'nix'],
      'table',
    ],
  ] as const)('%s', async (_, args, list) => {
    const message = await expectFailure(args, 1, /^Unknown [\w ]+ "nix": known are /);
    expect(message).toContain(list);
    expect(readdirSync(path())).not.toContain('never');
  });
});

describe('an architecture outside the space', () => {
  const cost = (text: string): string[] => ['cost', ...SPACE_WORDS, '--arch', text];

  it.each([
    [
      'a value: which, where, and the allowed ones',
      arch({ ks: withKernel(4) }),
      /ks\[1\] must be one of 3, 5: current value is 4/,
    ],
    ['an image size', arch({ image_size: 17 }), /image_size must be one of 16: current value is 17/],
    ['a list too long', arch({ d: [1, 1, 1] }), /d must have 2 values: it has 3/],
    ['a key that is missing', '{"image_size":16,"ks":3,"e":2}', /at "d"/],
    ['text that is not JSON', '{"image_size":', /the architecture: it is not JSON/],
    ['a file that is not there', path('nowhere.json'), /nowhere\.json: there is no such file/],
  ])('%s', async (_, text, message) => {
    await expectFailure(cost(text), 1, message);
  });

  it('is let pass where depth switches the value off', async () => {
    const shallow = arch({ d: [1, 1], ks: withKernel(4) });
    expect(await ofa([...cost(shallow), '--json'])).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('checkpoints', () => {
  const evaluate = (run: string): string[] => ['eval', '--supernet', path(run), '--arch', 'smallest'];
  const weightsOf = (run: string): string => {
    const { weights } = JSON.parse(readFileSync(path(run, 'supernet.json'), 'utf8')) as {
      weights: { file: string };
    };
    return path(run, weights.file);
  };
  const copyRun = (name: string): void => cpSync(path('run'), path(name), { recursive: true });

  it('a folder without one', async () => {
    await expectFailure(evaluate('digits'), 1, /there is no supernet in it; train one/);
  });

  it('truncated weights', async () => {
    copyRun('truncated');
    writeFileSync(weightsOf('truncated'), readFileSync(weightsOf('truncated')).subarray(0, 5000));
    await expectFailure(
      evaluate('truncated'),
      1,
      /supernet-\w+\.safetensors: its SHA-256 must be .* damaged/,
    );
  });

  it('a truncated description', async () => {
    copyRun('cut');
    writeFileSync(path('cut', 'supernet.json'), readFileSync(path('cut', 'supernet.json')).subarray(0, 300));
    await expectFailure(evaluate('cut'), 1, /supernet\.json: it is not JSON/);
  });

  it('a description of something else', async () => {
    mkdirSync(path('other'));
    writeFileSync(path('other', 'supernet.json'), '{"format":"other/1"}');
    await expectFailure(
      evaluate('other'),
      1,
      /supernet\.json at "format": Invalid input: expected "ofakit\.checkpoint/,
    );
  });

  it('weights of another space: some of the tensors that do not fit, in one line', async () => {
    copyRun('foreign');
    const bytes = encodeSafetensors(new Map([['conv1.weight', { shape: [1], data: new Float32Array(1) }]]));
    const { createHash } = await import('node:crypto');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(path('foreign', 'foreign.safetensors'), bytes);
    const file = path('foreign', 'supernet.json');
    const content = JSON.parse(readFileSync(file, 'utf8')) as object;
    writeFileSync(file, JSON.stringify({ ...content, weights: { file: 'foreign.safetensors', sha256 } }));
    await expectFailure(
      evaluate('foreign'),
      1,
      /foreign\.safetensors.*missing: stem\.conv\.weight .*; and \d+ more/,
    );
  });

  it('a run that was begun with other options', async () => {
    copyRun('begun');
    const words = ['train', ...SPACE_WORDS, '--data', `mnist:${path('digits')}`, '--out', path('begun')];
    await expectFailure(words, 1, /supernet\.json, key "position"/);
  });
});

describe('tables, models, data', () => {
  it('a latency table that is not there', async () => {
    const words = ['latency', 'query', '--table', path('none.json'), '--arch', 'largest'];
    await expectFailure(words, 1, /none\.json: there is no such file; make it with "ofa measure"/);
  });

  it('a block that was not measured', async () => {
    const words = ['latency', 'query', '--table', path('table.json'), '--block', 'conv-in1'];
    await expectFailure(words, 1, /"conv-in1".* does not have it; measure it with/);
  });

  it('a table without subnets to check with', async () => {
    await expectFailure(
      ['latency', 'validate', '--table', path('table.json')],
      1,
      /no whole subnets to check with/,
    );
  });

  it('a model that is none', async () => {
    writeFileSync(path('bad.onnx'), 'not a model');
    await expectFailure(['verify', path('bad.onnx')], 1, /bad\.onnx/);
  });

  it('data with another number of classes', async () => {
    const words = [
      'train',
      ...SPACE_WORDS,
      '--classes',
      '7',
      '--data',
      `mnist:${path('digits')}`,
      '--out',
      path('never'),
    ];
    await expectFailure(words, 1, /has 7 classes, the data set 10; try --classes 10/);
  });

  it('a data folder that is not there', async () => {
    const words = ['train', ...SPACE_WORDS, '--data', `cifar10:${path('nowhere')}`, '--out', path('never')];
    await expectFailure(words, 1, /there is no folder ".*nowhere"/);
  });
});

describe('limits that nothing meets', () => {
  const search = (...words: string[]): string[] => [
    'search',
    '--supernet',
    path('run'),
    '--device',
    'local-cpu',
    '--table',
    path('table.json'),
    ...words,
  ];

  it('asks for a predictor first', async () => {
    await expectFailure(search(), 1, /no predictor was fitted; run "ofa accuracy sample/);
  });

  it('names the fastest there is, which can then be asked for', async () => {
    // On all samples: a tau on a few would be told as what may be chance.
    const fit = ['accuracy', 'fit', '--supernet', path('run'), '--predictor', 'ridge', '--json'];
    expect(await ofa(fit)).toMatchObject({ code: 0 });
    const message = await expectFailure(
      search('--max-latency-ms', '0.001'),
      1,
      /latencyMs at most 0\.001 ms: .* found is [\d.]+ ms/,
    );
    const lowest = Number(/found is ([\d.]+) ms/.exec(message)![1]);
    // MACs alone decide in this table, and every gene of the smallest network has its cheapest value.
    const { blocks } = networkCosts(space.network(space.smallest));
    expect(lowest).toBeCloseTo(
      blocks.reduce((sum, { macs }) => sum + blockMs(macs), 0),
      3,
    );
    const found = await ofa(search('--max-latency-ms', `${lowest}`, '--json'));
    expect(found.code).toBe(0);
    const { best } = JSON.parse(found.stdout) as { best: { predictedMs: number } };
    expect(best.predictedMs).toBeLessThanOrEqual(lowest);
  });

  it('says which table is missing', async () => {
    const words = ['search', '--supernet', path('run'), '--device', 'local-cpu', '--table', path('nix.json')];
    await expectFailure(words, 1, /nix\.json: there is no such file/);
  });
});

it('a file is named by the space it cannot be', async () => {
  const { file } = shippedSpace('mbv3-tiny');
  writeFileSync(path('space.json'), JSON.stringify({ ...file, family: 'transformer' }));
  await expectFailure(
    ['space', 'show', path('space.json')],
    1,
    /Unknown family of networks "transformer": known are .*mbconv/,
  );
  writeFileSync(path('space2.json'), JSON.stringify({ ...file, width: 'wide' }));
  await expectFailure(['space', 'show', path('space2.json')], 1, /space2\.json at "width": /);
});
