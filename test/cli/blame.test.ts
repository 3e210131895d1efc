/** What is at fault is named: misspelt options, names of data that are none, weights that are not numbers, images that show nothing. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeSafetensors } from '../../src/supernet/safetensors.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { isOneLine, ofa } from './support/cli.js';
import { fewDigits, makeRun, space, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
let data: string;
let words: string[];
beforeAll(async () => {
  data = fewDigits(path('digits'));
  words = ['--schedule', writeSchedule(path('schedule.json'), 1, 8), '--workers', '0', '--out', path('out')];
  await makeRun(path('run'), data);
});

async function refused(args: string[], code: number, message: RegExp): Promise<void> {
  const result = await ofa(args, { cwd: path() });
  expect(result).toMatchObject({ code, stdout: '' });
  expect(result.stderr).toMatch(message);
  expect(isOneLine(result.stderr)).toBe(true);
  expect(existsSync(path('out'))).toBe(false);
}

describe('usage', () => {
  it('names an unknown option before those that are missing', async () => {
    const { code, stdout, stderr } = await ofa(['train', '--sapce', 'mbv3-tiny']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    // Commander puts what may be meant on a line of its own.
    expect(stderr).toBe("error: unknown option '--sapce'\n(Did you mean --space?)\n");
    await refused(['train', '--data', 'mnist'], 2, /required option '--space <space>' not specified/);
    await refused(
      ['accuracy', 'sample', '--supernet', 'r'],
      2,
      /required option '--count <n>' not specified/,
    );
  });

  it('says that a name of data is neither known nor a folder', async () => {
    writeFileSync(path('photo.png'), '');
    const train = ['train', ...SPACE_WORDS, ...words, '--data'];
    await refused(
      [...train, 'digitz'],
      1,
      /Unknown data set "digitz".*there is no folder "digitz" in .*NAME:FOLDER/,
    );
    await refused([...train, 'photo.png'], 1, /"photo.png" is a file, not a folder/);
  });
});

describe('weights that are not numbers', () => {
  const bad = (value: number): string => {
    const weights = initialiseWeights(space, 0);
    const [name] = [...weights.keys()].slice(2);
    weights.get(name!)!.data[1] = value;
    writeFileSync(path('bad.safetensors'), encodeSafetensors(weights));
    return name!;
  };

  it.each([NaN, Infinity, -Infinity])('--init with %d names the file and the tensor', async (value) => {
    const name = bad(value);
    const train = ['train', ...SPACE_WORDS, ...words, '--data', data, '--init', path('bad.safetensors')];
    await refused(
      train,
      1,
      new RegExp(`^Cannot start from .*bad.safetensors: .*"${name}" has 1 of \\d+ that are NaN`),
    );
  });
});

describe('images that show nothing', () => {
  async function images(folder: string, colours: readonly string[]): Promise<string> {
    for (const name of ['a', 'b']) {
      mkdirSync(path(folder, name), { recursive: true });
      for (let i = 0; i < 30; i++) {
        const background = colours[i % colours.length]!;
        const file = path(folder, name, `${i}.png`);
        await sharp({ create: { width: 20, height: 20, channels: 3, background } })
          .png()
          .toFile(file);
      }
    }
    return path(folder);
  }
  const train = (folder: string): string[] => [
    'train',
    ...['--space', 'mbv3-cifar', '--image-sizes', '16', '--width', '0.5', '--classes', '2'],
    ...words,
    '--data',
    folder,
  ];

  it('are named, not the learning rate', async () => {
    await refused(
      train(await images('black', ['#000'])),
      1,
      /^Cannot train on data set "imagefolder": its images must differ: .* is black/m,
    );
    await refused(
      train(await images('red', ['#f00'])),
      1,
      /its images must differ: .* is of the colour 255, 0, 0/,
    );
  });

  it('may be of one colour each where the colours differ', async () => {
    const result = await ofa([...train(await images('colours', ['#000', '#f00', '#0f0'])), '--dry-run']);
    expect(result.code).toBe(0);
    expect(readdirSync(path())).not.toContain('out');
  });
});
