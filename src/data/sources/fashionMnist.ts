/** Fashion-MNIST (Xiao et al. 2017): 60,000 + 10,000 grey pictures of clothes, IDX files. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../util/errors.js';
import { policyNamed } from '../augment/policy.js';
import { createDataset } from '../baseDataset.js';
import type { Dataset, DatasetDefinition, DatasetSource } from '../dataset.js';
import { splitTrain } from '../splits.js';
import { downloadFiles, type RemoteFile } from './download.js';
import { readIdx, type IdxArray } from './idx.js';

const CLASSES = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** Where Debian's package dataset-fashion-mnist puts the files. */
const DEBIAN_FOLDER = '/usr/share/datasets/fashion-mnist';

const OFFICIAL_URL = 'https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion';

/** Checksums that the data set's authors publish. */
const FILES: readonly RemoteFile[] = [
  { name: 'train-images-idx3-ubyte.gz', md5: '8d4fb7e6c68d591d4c3dfef9ec88bf0d' },
  { name: 'train-labels-idx1-ubyte.gz', md5: '25c81989df183df01b3e8a0aad5dffbe' },
  { name: 't10k-images-idx3-ubyte.gz', md5: 'bef4ecab320f06d8554ea6380940ec79' },
  { name: 't10k-labels-idx1-ubyte.gz', md5: 'bb300cfdad3c16e7a12a480ee83cd310' },
];

function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'];
  return join(
    base === undefined || base === '' ? join(homedir(), '.cache') : base,
    'ofakit',
    'fashion-mnist',
  );
}

async function findFolder(path: string | undefined): Promise<string> {
  if (path !== undefined) return path;
  if (existsSync(DEBIAN_FOLDER)) return DEBIAN_FOLDER;
  const folder = cacheFolder();
  await downloadFiles(OFFICIAL_URL, FILES, folder);
  return folder;
}

/** `stem`.gz or plain. */
async function readPart(
  folder: string,
  stem: string,
  rank: number,
): Promise<{ path: string; array: IdxArray }> {
  const plain = join(folder, stem);
  const path = existsSync(plain) ? plain : `${plain}.gz`;
  if (!existsSync(path)) {
    throw new UserError(`Cannot open data set "fashion-mnist": there is neither ${plain} nor ${path}`);
  }
  return { path, array: await readIdx(path, rank) };
}

async function openIn(folder: string, source: DatasetSource): Promise<Dataset> {
  const halves = [];
  for (const prefix of ['train', 't10k']) {
    const images = await readPart(folder, `${prefix}-images-idx3-ubyte`, 3);
    const labels = await readPart(folder, `${prefix}-labels-idx1-ubyte`, 1);
    const [count, height, width] = images.array.shape as [number, number, number];
    if (height !== 28 || width !== 28) {
      throw new UserError(
        `Cannot use ${images.path}: images of 28x28 are wanted: they have ${height}x${width}`,
      );
    }
    if (labels.array.shape[0] !== count) {
      throw new UserError(
        `Cannot use ${labels.path}: one label an image is wanted: ${labels.array.shape[0] ?? 0} labels for ${count} images`,
      );
    }
    const wrong = labels.array.data.findIndex((label) => label >= CLASSES.length);
    if (wrong >= 0) {
      throw new UserError(
        `Cannot use ${labels.path}: labels must be in [0, ${CLASSES.length}): label ${wrong} is ${labels.array.data[wrong]!}`,
      );
    }
    halves.push({ images: images.array.data, labels: labels.array.data, path: images.path });
  }
  const [train, test] = halves as [(typeof halves)[0], (typeof halves)[0]];
  const pixels = new SharedArrayBuffer(train.images.length + test.images.length);
  const bytes = new Uint8Array(pixels);
  bytes.set(train.images);
  bytes.set(test.images, train.images.length);
  const labels = new Uint8Array([...train.labels, ...test.labels]);
  const firstTest = train.labels.length;
  return createDataset({
    source,
    classes: CLASSES,
    imageSize: { height: 28, width: 28 },
    defaultPolicy: policyNamed('fashion'),
    images: { kind: 'memory', channels: 1, height: 28, width: 28, pixels },
    labels,
    splits: splitTrain(labels, (i) => i >= firstTest, source.validationFraction, source.splitSeed),
    refAt: (position) => ({ position }),
    nameAt: (position) =>
      position < firstTest ? `${train.path} image ${position}` : `${test.path} image ${position - firstTest}`,
    normalisation: () => Promise.resolve({ mean: [0.286], std: [0.353] }),
  });
}

export const fashionMnist: DatasetDefinition = {
  name: 'fashion-mnist',
  summary:
    "60,000 + 10,000 pictures of clothes, 28x28 grey; IDX files of the given folder, of Debian's package, or downloaded once",
  open: async (source) => openIn(await findFolder(source.path), source),
};
