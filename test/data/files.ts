/** Small data sets written by the tests themselves. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { onTestFinished } from 'vitest';
import { createRandom } from '../../src/util/random.js';

/** A folder that goes away with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-data-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export function randomBytes(count: number, ...seed: (string | number)[]): Uint8Array {
  const random = createRandom('bytes', ...seed);
  return Uint8Array.from({ length: count }, () => random.int(256));
}

export function idxBytes(shape: readonly number[], data: Uint8Array): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length);
  header[2] = 8;
  header[3] = shape.length;
  shape.forEach((n, i) => header.writeUInt32BE(n, 4 + 4 * i));
  return Buffer.concat([header, data]);
}

/** Fashion-MNIST's four files: labels go round the ten classes. */
export function fashionFiles(train: number, test: number): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const [prefix, count] of [
    ['train', train],
    ['t10k', test],
  ] as const) {
    const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
    files.set(`${prefix}-images-idx3-ubyte`, idxBytes([count, 28, 28], randomBytes(count * 784, prefix)));
    files.set(`${prefix}-labels-idx1-ubyte`, idxBytes([count], labels));
  }
  return files;
}

export async function writeFashion(folder: string, files: Map<string, Buffer>, gz: boolean): Promise<void> {
  for (const [name, bytes] of files) {
    await writeFile(join(folder, gz ? `${name}.gz` : name), gz ? gzipSync(bytes) : bytes);
  }
}

export const CIFAR_FILES = [...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), 'test_batch.bin'];

/** One file of CIFAR-10 records, labels going round the classes, random pixels. */
export function cifarBytes(count: number, name: string): Uint8Array {
  const bytes = randomBytes(count * 3073, name);
  for (let i = 0; i < count; i++) bytes[i * 3073] = i % 10;
  return bytes;
}

export async function writeCifar(folder: string, perFile: number): Promise<void> {
  for (const name of CIFAR_FILES) await writeFile(join(folder, name), cifarBytes(perFile, name));
}

/** An image file of one colour with a little seeded noise; the extension chooses the format. */
export async function writeImage(
  path: string,
  width: number,
  height: number,
  colour: readonly [number, number, number],
): Promise<void> {
  const noise = randomBytes(width * height * 3, path.split('/').slice(-2).join('/'));
  const data = noise.map((n, i) => Math.min(255, Math.max(0, colour[i % 3]! + (n % 16) - 8)));
  await mkdir(dirname(path), { recursive: true });
  await sharp(data, { raw: { width, height, channels: 3 } }).toFile(path);
}

/** CLASS/IMAGE with images of varied sizes and formats; the red channel tells the class. */
export async function writeImageFolder(
  root: string,
  classes: readonly string[],
  perClass: number,
): Promise<void> {
  const formats = ['jpg', 'png', 'webp', 'JPEG'];
  for (const [label, name] of classes.entries()) {
    for (let i = 0; i < perClass; i++) {
      const path = join(root, name, `${String(i).padStart(3, '0')}.${formats[i % formats.length]!}`);
      await writeImage(path, 40 + 7 * (i % 5), 36 + 5 * (i % 7), [40 + 60 * label, 128, 90]);
    }
  }
}
