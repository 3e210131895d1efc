/** CIFAR-10's binary version (Krizhevsky 2009): records of a label byte and 3 x 32 x 32 pixels, channels first. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../util/errors.js';
import { readBytes } from '../../util/files.js';
import { policyNamed } from '../augment/policy.js';
import { createDataset } from '../baseDataset.js';
import type { DatasetDefinition } from '../dataset.js';
import { splitTrain } from '../splits.js';

const CLASSES = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
const SIDE = 32;
const PIXELS = 3 * SIDE * SIDE;
const RECORD = 1 + PIXELS;
const TRAIN_FILES = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);
const TEST_FILE = 'test_batch.bin';

/** Number of records of one file. Throws UserError naming the file. */
export function checkCifarRecords(bytes: Uint8Array, where: string): number {
  if (bytes.length === 0 || bytes.length % RECORD !== 0) {
    throw new UserError(
      `Cannot read ${where}: a whole number of records of ${RECORD} bytes is wanted: the file has ${bytes.length} bytes` +
        (bytes.length === 0
          ? ''
          : `, ${bytes.length % RECORD} too many; it is truncated or not CIFAR-10's binary version`),
    );
  }
  const count = bytes.length / RECORD;
  for (let i = 0; i < count; i++) {
    const label = bytes[i * RECORD]!;
    if (label < CLASSES.length) continue;
    throw new UserError(
      `Cannot read ${where}: labels must be in [0, ${CLASSES.length}): record ${i} has label ${label}`,
    );
  }
  return count;
}

export const cifar10: DatasetDefinition = {
  name: 'cifar10',
  summary:
    '50,000 + 10,000 small photos of ten classes, 32x32; the folder of the binary version (cifar10:PATH)',
  open: async (source) => {
    const folder = source.path;
    if (folder === undefined) {
      throw new UserError(
        'Cannot open data set "cifar10": give the folder of its binary version, e.g. cifar10:data/cifar-10-batches-bin',
      );
    }
    // The archive unpacks to this folder; its parent is as good.
    const inner = join(folder, 'cifar-10-batches-bin');
    const root = existsSync(inner) ? inner : folder;
    const files: { path: string; bytes: Uint8Array; count: number }[] = [];
    for (const name of [...TRAIN_FILES, TEST_FILE]) {
      const path = join(root, name);
      const bytes = await readBytes(path);
      files.push({ path, bytes, count: checkCifarRecords(bytes, path) });
    }
    const total = files.reduce((sum, file) => sum + file.count, 0);
    const pixels = new SharedArrayBuffer(total * PIXELS);
    const all = new Uint8Array(pixels);
    const labels = new Uint8Array(total);
    const origins: { path: string; first: number }[] = [];
    let at = 0;
    for (const { path, bytes, count } of files) {
      origins.push({ path, first: at });
      for (let i = 0; i < count; i++, at++) {
        labels[at] = bytes[i * RECORD]!;
        all.set(bytes.subarray(i * RECORD + 1, (i + 1) * RECORD), at * PIXELS);
      }
    }
    const firstTest = origins.at(-1)!.first;
    return createDataset({
      source,
      classes: CLASSES,
      imageSize: { height: SIDE, width: SIDE },
      defaultPolicy: policyNamed('small'),
      images: { kind: 'memory', channels: 3, height: SIDE, width: SIDE, pixels },
      labels,
      splits: splitTrain(labels, (i) => i >= firstTest, source.validationFraction, source.splitSeed),
      refAt: (position) => ({ position }),
      nameAt: (position) => {
        const origin = origins.findLast(({ first }) => first <= position)!;
        return `${origin.path} record ${position - origin.first}`;
      },
      normalisation: () => Promise.resolve({ mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] }),
    });
  },
};
