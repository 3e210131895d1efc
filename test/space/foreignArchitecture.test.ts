/** Architectures in the words of other tools, and inside the documents that ofakit writes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toFile, type Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { parseArchitecture, readArchitecture } from '../../src/space/file.js';
import { isActive } from '../../src/space/gene.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import type { SearchSpace } from '../../src/space/space.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

const mobile = shippedSpace('ofa-mbv3');
const proxyless = shippedSpace('ofa-proxyless');
const resnet = shippedSpace('ofa-resnet50');

const sample = (space: SearchSpace, seed: number): Architecture =>
  sampleArchitecture(space.genes, createRandom(seed));

const refusal = (content: unknown, space: SearchSpace): string => {
  try {
    parseArchitecture(content, space, 'net.json');
  } catch (cause) {
    if (cause instanceof UserError) return cause.message;
    throw cause;
  }
  throw new Error('it was not refused');
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foreign-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: unknown): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('depths', () => {
  it('of ProxylessNAS are five or six', () => {
    const arch = sample(proxyless, 7);
    const { d, ...rest } = toFile(arch);
    expect(d).toHaveLength(6);
    expect(parseArchitecture({ ...rest, d: d.slice(0, 5) }, proxyless)).toEqual(arch);
    expect(parseArchitecture({ ...rest, d }, proxyless)).toEqual(arch);
    expect(refusal({ ...rest, d: d.slice(0, 4) }, proxyless)).toMatch(
      /^Cannot use net\.json in space "ofa-proxyless": d\[4\] must be one of 2, 3, 4: it is missing$/,
    );
  });

  it("of ResNet50's stem: what is less than the greatest is off, as in the reference", () => {
    const off = toFile({ ...resnet.largest, d: [0, 1, 2, 1, 0] });
    const read = (stem: number) => parseArchitecture({ ...off, d: [stem, ...off.d.slice(1)] }, resnet).d[0];
    expect([read(0), read(1), read(2)]).toEqual([0, 0, 2]);
    expect(refusal({ ...off, d: [3, 1, 2, 1, 0] }, resnet)).toMatch(/d\[0\] must be one of 0, 2: .* is 3/);
    expect(refusal({ ...off, d: [0, 3, 2, 1, 0] }, resnet)).toMatch(/d\[1\] must be one of 0, 1, 2/);
  });
});

describe('image sizes', () => {
  const { image_size: size, ...rest } = toFile(sample(mobile, 3));
  it.each([
    ['a list of one', { image_size: [size] }],
    ['height and width', { image_size: [size, size] }],
    ['"r" beside it', { image_size: [size], r: size }],
    ['"resolution"', { resolution: size }],
    ['null beside a list', { image_size: null, r: [size] }],
  ])('%s', (_, words) => {
    expect(parseArchitecture({ ...rest, ...words }, mobile).imageSize).toBe(size);
  });

  it.each([
    [{ image_size: [size, size + 4] }, /at "image_size": one image size is wanted .*: it is \[/],
    [{ image_size: [] }, /at "image_size": one image size is wanted/],
    [{ image_size: size, r: [size + 4] }, /"image_size" and "r" must be the same image size: they are/],
    [{ image_size: `${size}` }, /at "image_size": .*expected number/],
  ])('%o is refused', (words, message) => {
    expect(refusal({ ...rest, ...words }, mobile)).toMatch(message);
  });

  it('may be left out where the space has one', () => {
    const single = smallSpace(undefined, [16]);
    const { image_size: _, ...without } = toFile(single.largest);
    expect(parseArchitecture(without, single)).toEqual(single.largest);
    expect(refusal(rest, mobile)).toMatch(/at "image_size"/);
  });
});

it('takes lists of the blocks that are there alone', () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(mobile, proxyless, resnet, tinyResnet()), (seed, space) => {
      const arch = sample(space, seed);
      const kept = (list: 'ks' | 'e'): number[] =>
        space.genes.flatMap((gene) =>
          gene.list === list && isActive(arch, gene) ? [arch[list][gene.index]!] : [],
        );
      const short = { ...toFile(arch), e: kept('e'), ...(arch.ks.length > 0 && { ks: kept('ks') }) };
      const read = parseArchitecture(short, space);
      expect(architectureKey(space.genes, read)).toBe(architectureKey(space.genes, arch));
    }),
  );
});

describe('wrappers', () => {
  const arch = sample(mobile, 11);
  const own = toFile(arch);
  const { image_size: size, ...rest } = own;
  it.each(['config', 'arch', 'subnet', 'net_config'])('"%s" around it', (key) => {
    expect(parseArchitecture({ [key]: own, top1: 0.7, id: 'x' }, mobile)).toEqual(arch);
    expect(parseArchitecture({ [key]: rest, image_size: [size] }, mobile)).toEqual(arch);
    expect(parseArchitecture({ result: { [key]: rest, r: size } }, mobile)).toEqual(arch);
  });

  it('that contradict each other are refused by name', () => {
    expect(refusal({ config: own, image_size: size + 4 }, mobile)).toMatch(
      /net\.json: "image_size" must be the same inside "config" and beside it: it is \d+ and \d+/,
    );
    expect(refusal({ config: own, r: size + 4 }, mobile)).toMatch(/"image_size" and "r" must be the same/);
    expect(refusal({ config: own, arch: { ...own, d: 2 } }, mobile)).toMatch(
      /one architecture is wanted: it holds 2 \("config", "arch"\)/,
    );
    expect(parseArchitecture({ config: own, arch: own }, mobile)).toEqual(arch);
  });
});

describe('documents', () => {
  const [a, b, c] = [1, 2, 3].map((seed) => toFile(sample(mobile, seed)));
  const values = (top1: number) => ({ values: { accuracy: top1, latencyMs: 1 } });
  const front = {
    format: 'ofakit.front/1',
    space: 'ofa-mbv3',
    points: [a, b, c].map((architecture, i) => ({ architecture, ...values(i / 10) })),
  };
  const read = async (name: string, content: unknown, suffix = ''): Promise<unknown> =>
    toFile(await readArchitecture(`${await file(name, content)}${suffix}`, mobile));

  it('of a search: the best; the others by number', async () => {
    const result = { strategy: 'nsga2', best: { macs: 1, architecture: b }, front: front.points };
    expect(await read('search.json', result)).toEqual(b);
    expect(await read('search.json', result, '#2')).toEqual(c);
    expect(await read('best.json', { strategy: 'random', best: { macs: 1, architecture: a } })).toEqual(a);
  });

  it('of a front: by number, or the picked one', async () => {
    expect(await read('front.json', front, '#0')).toEqual(a);
    expect(await read('front.json', front, '#2')).toEqual(c);
    expect(await read('front.json', { ...front, picked: { rule: 'knee', index: 1 } })).toEqual(b);
    const several = read('front.json', front);
    await expect(several).rejects.toThrow(UserError);
    await expect(several).rejects.toThrow(
      /front\.json: one architecture is wanted: it holds 3 \(#0 accuracy 0 latencyMs 1, .*say which as FILE#NUMBER, #0 to #2/,
    );
    await expect(read('front.json', front, '#3')).rejects.toThrow(/it has #0 to #2/);
    await expect(read('one.json', a, '#0')).rejects.toThrow(/it holds no list of architectures/);
  });

  it('of another space are refused', async () => {
    await expect(read('other.json', { ...front, space: 'ofa-proxyless' }, '#0')).rejects.toThrow(
      /a subnet of space "ofa-mbv3" is wanted: it is from space "ofa-proxyless"/,
    );
  });

  it("of specialising: a model's own architecture, not its finalists'", async () => {
    const model = (architecture: unknown, maxLatencyMs: number) => ({
      device: 'phone',
      maxLatencyMs,
      architecture,
      finalists: [{ architecture: c }],
    });
    const content = { space: 'ofa-mbv3', models: [model(a, 1), model(b, 2)] };
    expect(await read('specialization.json', content, '#1')).toEqual(b);
    expect(await read('single.json', { models: [model(a, 1)] })).toEqual(a);
    await expect(read('specialization.json', content)).rejects.toThrow(/#0 phone 1 ms, #1 phone 2 ms/);
  });

  it('of other commands, and lines', async () => {
    expect(await read('cost.json', { space: 'ofa-mbv3', architecture: b, macs: 5 })).toEqual(b);
    const lines = [a, b].map((architecture) => `${JSON.stringify({ architecture, top1: 0.5 })}\n`).join('');
    expect(await read('accuracy.jsonl', lines, '#1')).toEqual(b);
    await expect(read('accuracy.jsonl', lines)).rejects.toThrow(/it holds 2 .*#0 to #1/);
    await expect(readArchitecture(join(folder, 'none.jsonl'), mobile)).rejects.toThrow(
      'there is no such file',
    );
  });

  it('with a name that has a number sign', async () => {
    expect(await read('net#1', a)).toEqual(a);
  });

  it('whatever they hold: an architecture of the space or a UserError', () => {
    const piece = fc.oneof(fc.integer({ min: -1, max: 9 }), fc.constantFrom(a, b, null, 'x', 224, [224], []));
    const key = fc.constantFrom(
      'image_size',
      'r',
      'd',
      'ks',
      'e',
      'w',
      'best',
      'picked',
      'points',
      'front',
      'config',
      'space',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        piece,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(key, tie('tree')),
      ),
    }));
    fc.assert(
      fc.property(tree, (content) => {
        try {
          mobile.network(parseArchitecture(content, mobile));
        } catch (cause) {
          expect(cause).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('with lists of millions of values are refused before they are walked', () => {
    const many = new Array<string>(3_000_000).fill('x');
    for (const key of ['d', 'ks', 'e', 'w'])
      expect(refusal({ ...a, [key]: many }, mobile)).toMatch(
        `at "${key}": at most 4096 entries are wanted: there are 3000000`,
      );
  });
});
