/** What a space.json asks for is built, counted and allocated: none may ask for more than there can be. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkCosts } from '../../src/space/costs.js';
import { createSpace } from '../../src/space/space.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { UserError } from '../../src/util/errors.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

type Path = readonly (string | number)[];

/** A copy in which one key is another value. */
function changed(content: unknown, [key, ...rest]: Path, value: unknown): unknown {
  const copy: Record<string | number, unknown> = Object.assign(
    Array.isArray(content) ? ([] as unknown as Record<string, unknown>) : {},
    content,
  );
  copy[key!] = rest.length === 0 ? value : changed(copy[key!], rest, value);
  return copy;
}

function refusal(content: unknown): string {
  try {
    createSpace(content, {}, 'my/space.json');
  } catch (cause) {
    if (cause instanceof UserError) return cause.message;
    throw cause;
  }
  throw new Error('it was not refused');
}

const mbconv = shippedSpace('ofa-mbv3').file;
const resnet = tinyResnet().file;
const many = (length: number): number[] => Array.from({ length }, (_, i) => i + 1);

describe('a space is refused by its key', () => {
  const network = (...path: Path): Path => ['network', ...path];
  it.each<[Path, unknown]>([
    [['imageSizes'], many(300)],
    [['imageSizes'], [1e9]],
    [['inputChannels'], 1e9],
    [['classes'], 1e12],
    [['width'], 1e300],
    [network('stem', 'width'), 2 ** 40],
    [network('stem', 'kernel'), -3],
    [network('stem', 'kernel'), 4],
    [network('stem', 'kernel'), 1e9 + 1],
    [network('stem', 'stride'), 0],
    [network('stem', 'stride'), 1e6],
    [network('firstBlock', 'kernel'), 2],
    [network('firstBlock', 'kernel'), 0],
    [network('firstBlock', 'stride'), 0],
    [network('firstBlock', 'stride'), -1],
    [network('firstBlock', 'expand'), 1e9],
    [network('stages', 0, 'depth'), [1e9]],
    [network('stages', 0, 'depth'), [1, 1000]],
    [network('stages', 0, 'kernel'), [3, 1e9 + 1]],
    [network('stages', 0, 'expand'), many(65)],
    [network('stages', 0, 'width'), 1e9],
    [network('head', 'expand'), 1e9],
    [network('head', 'mix'), 1e9],
    [network('stages'), Array.from({ length: 33 }, () => null)],
  ])('mbconv %j', (path, value) => {
    const message = refusal(changed(mbconv, path, value));
    expect(message).toContain('my/space.json');
    expect(message).toContain(String(path[path.length - 1]));
  });

  it.each<[Path, unknown]>([
    [network('stem', 'width'), 1e9],
    [network('stages', 0, 'blocks'), 1e9],
    [network('stages', 0, 'depth'), [0, 1e9]],
    [network('stages', 1, 'kernel'), 2],
    [network('stages', 1, 'stride'), 0],
    [network('widths'), many(65)],
  ])('resnet %j', (path, value) => {
    expect(refusal(changed(resnet, path, value))).toContain(String(path[path.length - 1]));
  });

  it('where all stages together have too many blocks', () => {
    const { stages } = mbconv.network as { stages: object[] };
    const deep = stages.map((stage) => ({ ...stage, depth: [250] }));
    expect(refusal(changed(mbconv, ['network', 'stages'], deep))).toMatch(/at most 512 blocks/);
  });

  it('before lists of millions are walked', () => {
    const millions = new Array<string>(4_000_000).fill('x');
    for (const path of [['imageSizes'], network('stages'), network('stages', 0, 'depth'), ['only', 'ks']])
      expect(
        refusal(changed({ ...mbconv, only: { d: [], e: [], ks: [], image_size: 224 } }, path, millions)),
      ).toMatch(/entries are wanted: there are 4000000/);
  });

  it('of a family that is not known, by the file', () => {
    expect(refusal({ ...mbconv, family: 'x'.repeat(1e6) })).toMatch(
      /^Cannot use my\/space\.json at "family": Unknown family of networks "x{200}\.\.\.": known are mbconv, resnet$/,
    );
  });
});

it('weights that no memory holds are refused before they are made', () => {
  const wide = createSpace(changed(changed(mbconv, ['network', 'head', 'expand'], 65_536), ['width'], 60));
  expect(() => initialiseWeights(wide, 0)).toThrow(/at most 2147483648 values are wanted/);
});

it('any number anywhere gives a space that can be counted, or a UserError', () => {
  const paths: Path[] = [];
  const collect = (content: unknown, path: Path): void => {
    if (typeof content === 'number') paths.push(path);
    else if (typeof content === 'object' && content !== null)
      for (const [key, value] of Object.entries(content))
        collect(value, [...path, Array.isArray(content) ? Number(key) : key]);
  };
  const { file } = smallSpace();
  collect(file, []);
  const number = fc.oneof(
    fc.double(),
    fc.integer({ min: -3, max: 300 }),
    fc.constantFrom(0, -1, 1e9, 1e300, 2 ** 53, 0.5, 63, 256, 65_536),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...paths), number), { minLength: 1, maxLength: 3 }),
      (list) => {
        const content = list.reduce<unknown>((value, [path, own]) => changed(value, path, own), file);
        try {
          const space = createSpace(content);
          const { macs, params } = networkCosts(space.network(space.largest));
          expect(Number.isFinite(macs) && macs > 0 && params > 0).toBe(true);
        } catch (cause) {
          expect(cause).toBeInstanceOf(UserError);
        }
      },
    ),
    { numRuns: 500 },
  );
});
