import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeMetadata } from '../../src/export/metadata.js';
import { openArchitecture } from '../../src/export/openArchitecture.js';
import { onnx } from '../../src/lowering/onnxProto.js';
import { toFile } from '../../src/space/architecture.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { smallSpace } from '../support/spaces.js';

const space = smallSpace();
const arch = sampleArchitecture(space.genes, createRandom(4));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'model-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function model(name: string, properties: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, name);
  const metadataProps = Object.entries(properties).map(([key, value]) => ({ key, value }));
  await writeFile(path, onnx.ModelProto.encode({ irVersion: 8, graph: {}, metadataProps }).finish());
  return path;
}

const metadataOf = (spaceName: string): Record<string, string> =>
  encodeMetadata({
    architecture: toFile(arch),
    space: { name: spaceName, overrides: { width: 1, classes: 4, imageSizes: [16, 24] } },
  });

it('takes the architecture that a model says it has, whatever its name', async () => {
  for (const name of ['a.onnx', 'b.ONNX', 'c'])
    expect(await openArchitecture(await model(name, metadataOf(space.name)), space)).toEqual(arch);
});

it('refuses models of other spaces, models without one, and what is no model', async () => {
  const text = join(folder, 'text.onnx');
  await writeFile(text, '{"image_size":16}');
  const wrong = [
    [
      await model('other.onnx', metadataOf('other')),
      /a subnet of space "small" is wanted: it is from space "other"/,
    ],
    [await model('bare.onnx', {}), /it names no architecture/],
    [text, /it is not an ONNX file/],
    [join(folder, 'none.onnx'), /there is no such file/],
  ] as const;
  for (const [path, message] of wrong) {
    await expect(openArchitecture(path, space)).rejects.toThrow(message);
    await expect(openArchitecture(path, space)).rejects.toThrow(UserError);
  }
});

it('takes all else as `readArchitecture` does', async () => {
  expect(await openArchitecture('largest', space)).toEqual(space.largest);
  expect(await openArchitecture(JSON.stringify(toFile(arch)), space)).toEqual(arch);
});
