import { describe, expect, it } from 'vitest';
import type { SearchSpace } from '../../../src/space/space.js';
import { foreignTensors, importWeights, TensorMismatch } from '../../../src/supernet/import/importWeights.js';
import { inferSpace } from '../../../src/supernet/import/inferSpace.js';
import { readStateDict } from '../../../src/supernet/import/stateDict.js';
import { encodeSafetensors } from '../../../src/supernet/safetensors.js';
import { storedParameters } from '../../../src/supernet/weights.js';
import { foreignState } from '../../support/foreignSupernet.js';
import { shippedSpace, smallSpace, tinyResnet } from '../../support/spaces.js';
import { disturbedWeights } from '../../support/supernets.js';
import {
  floatStorage,
  longStorage,
  writeTorchFile,
  WrittenTensor,
  type Writable,
} from '../../support/torchFile.js';

const small = { width: 0.25, classes: 10, imageSizes: [32] };
const spaces: [string, SearchSpace][] = [
  ['ofa-mbv3', shippedSpace('ofa-mbv3', small)],
  ['ofa-proxyless', shippedSpace('ofa-proxyless', small)],
  ['mbv3-tiny', shippedSpace('mbv3-tiny')],
  ['without a first block and mix', smallSpace()],
  ['resnet', tinyResnet()],
];
const space = smallSpace();
const weights = disturbedWeights(space, 'import');
const load = (state: ReadonlyMap<string, Writable>, of = space): ReturnType<typeof importWeights> =>
  importWeights(writeTorchFile(new Map([['state_dict', state]])), of, 'w.pth');

/** Rejects with a message; its lines. */
async function problems(state: ReadonlyMap<string, Writable>): Promise<string[]> {
  const error: unknown = await load(state).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(TensorMismatch);
  expect((error as Error).message).not.toContain('\n');
  return [...(error as TensorMismatch).problems];
}

describe('importWeights', () => {
  it.each(spaces)('gives back what was written: %s', async (_, of) => {
    const original = disturbedWeights(of, 'import');
    const imported = await load(foreignState(of, original), of);
    expect([...imported.keys()]).toEqual(storedParameters(of).map(({ name }) => name));
    for (const [name, tensor] of original) expect(imported.get(name)).toEqual(tensor);
  });

  it.each(spaces)('has a name of its own for every tensor: %s', (_, of) => {
    const names = foreignTensors(of).map(({ foreignName }) => foreignName);
    expect(new Set(names).size).toBe(storedParameters(of).length);
  });

  it.each([
    [
      'blocks called "mobile_inverted_conv"',
      (n: string) => n.replace(/^(blocks\.\d+)\.conv\./, '$1.mobile_inverted_conv.'),
    ],
    [
      'layers that are not wrapped',
      (n: string) => n.replace('.bn.bn.', '.bn.').replace('.conv.conv.weight', '.conv.weight'),
    ],
    ['"module." before all', (n: string) => `module.${n}`],
    ['those of a compiled model', (n: string) => `_orig_mod.${n}`],
    [
      'those of compiled parts of a parallel model',
      (n: string) => `module.${n.replace(/^blocks\.(\d+)\./, 'blocks.$1._orig_mod.')}`,
    ],
    ['those of a model in a model', (n: string) => `module._orig_mod.model.${n}`],
  ])('takes the names that published files have: %s', async (_, rename) => {
    for (const of of [space, tinyResnet()]) {
      const original = disturbedWeights(of, 'import');
      expect(await load(foreignState(of, original, rename), of)).toEqual(original);
    }
  });

  it('reads safetensors with the names of the reference', async () => {
    const tensors = new Map(
      foreignTensors(space).map(({ name, foreignName, foreignShape }) => [
        foreignName,
        { shape: foreignShape, data: weights.get(name)!.data },
      ]),
    );
    expect(await importWeights(encodeSafetensors(tensors), space, 'w.safetensors')).toEqual(weights);
  });

  it('lists all tensors that do not fit, by their names in the file', async () => {
    const state = foreignState(space, weights);
    state.delete('blocks.1.conv.depth_conv.conv.5to3_matrix');
    state.set('first_conv.bias', new WrittenTensor(floatStorage([1]), [1]));
    state.set('first_conv.bn.weight', new WrittenTensor(floatStorage([1, 2]), [2]));
    state.set('classifier.linear.bias', new WrittenTensor(longStorage([1, 2, 3, 4]), [4]));
    state.set(
      'blocks.0.mobile_inverted_conv.point_linear.bn.bn.bias',
      new WrittenTensor(floatStorage([1]), [1]),
    );
    expect((await problems(state)).sort()).toEqual([
      'missing: blocks.1.conv.depth_conv.conv.5to3_matrix [9, 9]',
      'twice: blocks.0.mobile_inverted_conv.point_linear.bn.bn.bias is also there as blocks.0.conv.point_linear.bn.bn.bias',
      'unexpected: first_conv.bias',
      'wrong shape: first_conv.bn.weight must be [8]: it is [2]',
      'wrong type: classifier.linear.bias must hold floating-point numbers: it is a LongStorage',
    ]);
  });

  it('names space, width and classes where another supernet is in the file', async () => {
    const wide = disturbedWeights(tinyResnet(), 'import');
    const error: unknown = await load(foreignState(tinyResnet(), wide)).catch((e: unknown) => e);
    expect((error as Error).message).toContain('space "small" (width 1, 4 classes); ');
  });

  it('does not take memory for shapes that nobody wants', async () => {
    const state = foreignState(space, weights);
    const huge = new WrittenTensor(floatStorage([1]), [2 ** 20, 2 ** 20], [0, 0]);
    state.set('first_conv.bn.weight', huge);
    expect(await problems(state)).toEqual([
      'wrong shape: first_conv.bn.weight must be [8]: it is [1048576, 1048576]',
    ]);
  });

  it('refuses weights that are not finite', async () => {
    const state = foreignState(space, weights);
    state.set('first_conv.bn.weight', new WrittenTensor(floatStorage([1, 2, 3, NaN, 5, 6, 7, 8]), [8]));
    await expect(load(state)).rejects.toThrow('first_conv.bn.weight has others');
  });
});

describe('wrappers', () => {
  const state = foreignState(space, weights);
  it.each(['state_dict', 'model_state_dict', 'model', 'net'])(
    'a dict under "%s" beside other things',
    async (key) => {
      const file = new Map<string, Writable>([
        ['epoch', 3],
        [key, state],
        ['optimizer', new Map<string, Writable>([['lr', 0.1]])],
      ]);
      expect(await importWeights(writeTorchFile(file), space, 'w.pth')).toEqual(weights);
      const twice = new Map<string, Writable>([['model', file]]);
      expect(await importWeights(writeTorchFile(twice), space, 'w.pth')).toEqual(weights);
      const none = writeTorchFile(new Map<string, Writable>([[key, 3]]));
      await expect(importWeights(none, space, 'w.pth')).rejects.toThrow(
        `its "${key}" must be a dict of tensors`,
      );
    },
  );
});

describe('inferSpace', () => {
  const both = { width: true, classes: true };
  const stateOf = (of: SearchSpace) =>
    readStateDict(writeTorchFile(foreignState(of, disturbedWeights(of, 'infer'))), 'w.pth');

  it.each([
    ['mbv3-tiny', 0.35, 7],
    ['mbv3-tiny', 1.2, 3],
    ['mbv3-tiny', 0.75, 100],
    ['mbv3-tiny', 1, 2],
    ['ofa-proxyless', 0.2, 5],
  ])('%s of width %d and %d classes', async (name, width, classes) => {
    const of = shippedSpace(name, { width, classes });
    const inferred = inferSpace(shippedSpace(name), await stateOf(of), both);
    expect(inferred.parameters.classes).toBe(classes);
    // Widths that give the same channels are the same network.
    expect(storedParameters(inferred)).toEqual(storedParameters(of));
  });

  it('keeps what is given, and a space that nothing fits', async () => {
    const of = shippedSpace('mbv3-tiny', { width: 0.5, classes: 3 });
    const found = await stateOf(of);
    const given = shippedSpace('mbv3-tiny');
    const neither = inferSpace(given, found, { width: false, classes: false });
    expect(neither.file).toEqual(given.file);
    expect(inferSpace(given, found, { width: false, classes: true }).parameters).toMatchObject({
      width: 1,
      classes: 3,
    });
    expect(inferSpace(tinyResnet(), found, both).parameters.width).toBe(1);
  });
});

it('tells mismatches in four lines at most, by kind', async () => {
  const other = foreignState(tinyResnet(), disturbedWeights(tinyResnet(), 'x'));
  const error: unknown = await load(other).catch((e: unknown) => e);
  const { summary, problems: all } = error as TensorMismatch;
  expect(all.length).toBeGreaterThan(20);
  expect(summary.length).toBeLessThanOrEqual(4);
  expect(summary[0]).toMatch(/^(missing|unexpected): \d+ tensors, the first \S/);
});
