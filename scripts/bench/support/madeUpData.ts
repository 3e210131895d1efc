/** Data sets of noise in the forms that `ofa train` reads: how fast it goes does not depend on what is in the pictures. */
import { randomFillSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { createRandom } from '../../../src/util/random.js';

export interface Photos {
  readonly classes: number;
  /** Of each class. */
  readonly train: number;
  readonly test: number;
  readonly width: number;
  readonly height: number;
}

/** JPEG files in folder/{train,test}/CLASS, smooth enough to compress as photos do. */
export async function writePhotos(folder: string, photos: Photos): Promise<void> {
  const { classes, width, height } = photos;
  const random = createRandom(0, 'photos');
  const small = { width: 24, height: 24, channels: 3 } as const;
  for (const split of ['train', 'test'] as const) {
    for (let label = 0; label < classes; label++) {
      const own = join(folder, split, `class${String(label).padStart(3, '0')}`);
      await mkdir(own, { recursive: true });
      for (let i = 0; i < photos[split]; i++) {
        const pixels = Uint8Array.from({ length: 3 * small.width * small.height }, () => random.int(256));
        const image = sharp(pixels, { raw: small }).resize(width, height, { fit: 'fill' });
        await image.jpeg().toFile(join(own, `${i}.jpg`));
      }
    }
  }
}

const CIFAR_RECORD = 1 + 3 * 32 * 32;
const CIFAR_FILES = [
  'data_batch_1',
  'data_batch_2',
  'data_batch_3',
  'data_batch_4',
  'data_batch_5',
  'test_batch',
];

/** CIFAR-10's binary version with `records` pictures in each of its six files; 10,000 in the original. */
export async function writeCifar(folder: string, records: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of CIFAR_FILES) {
    const bytes = randomFillSync(new Uint8Array(records * CIFAR_RECORD));
    for (let i = 0; i < records; i++) bytes[i * CIFAR_RECORD] = i % 10;
    await writeFile(join(folder, `${name}.bin`), bytes);
  }
}
