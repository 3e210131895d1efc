/** Exported files against the supernet's own float64 arithmetic, at every optimisation level. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportSubnet, subnetModel, verifySubnet } from '../../src/export/exportSubnet.js';
import { METADATA_KEYS } from '../../src/export/metadata.js';
import { OPTIMIZATION_LEVELS, verificationImages, verifyModel } from '../../src/export/verify.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { inferenceGraph } from '../../src/graph/network.js';
import { decodeModel, readOnnx } from '../../src/lowering/readOnnx.js';
import { onnx } from '../../src/lowering/onnxProto.js';
import type { Architecture } from '../../src/space/architecture.js';
import { networkCosts } from '../../src/space/costs.js';
import { loadSpace } from '../../src/space/presets.js';
import { subnetTensors } from '../../src/supernet/slicing.js';
import { createRandom } from '../../src/util/random.js';
import { tensor } from '../../src/util/tensor.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';
import { randomArchitecture, randomStatistics, randomSupernet } from './spaces.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-export-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(['mbv3-tiny', 'mbv3-cifar'])('%s', (name) => {
  const space = shippedSpace(name);
  const weights = randomSupernet(space, `export ${name}`);
  const random = createRandom('export', name);
  const cases: [string, Architecture][] = [
    ['largest', space.largest],
    ['smallest', space.smallest],
    ...Array.from({ length: 5 }, (_, i): [string, Architecture] => [
      `random ${i}`,
      randomArchitecture(space, random),
    ]),
  ];

  it.each(cases)('%s: the file computes what the supernet does', async (which, arch) => {
    const statistics = randomStatistics(space, arch, which);
    const subnet = { space, weights, arch, statistics };
    const { verification, path } = await exportSubnet({
      ...subnet,
      outPath: join(folder, `${name} ${which}.onnx`),
    });
    expect(verification.problems).toEqual([]);
    expect(verification.paths.map((result) => result.path).slice(0, 4)).toEqual(
      OPTIMIZATION_LEVELS.map((level) => `onnxruntime ${level}`),
    );
    for (const { relativeDifference } of verification.paths) expect(relativeDifference).toBeLessThan(1e-4);

    // The oracle once more, by hand: the unfolded elastic graph in float64, whatever size verification allows itself.
    const network = space.network(arch);
    const images = verificationImages([1, network.input.channels, arch.imageSize, arch.imageSize]);
    const tensors = new Map(
      network.blocks.flatMap((block) =>
        [...subnetTensors(weights, block)].map(([own, value]) => {
          const full = `${block.name}.${own}`;
          return [full, statistics.get(full) ?? value] as const;
        }),
      ),
    );
    const oracle = evaluate(
      inferenceGraph(network.blocks, tensors, 1),
      new Map([['input', images.data]]),
    ).get('logits')!;
    const file = await readFile(path);
    const result = await verifyModel(file, {
      images,
      expectedLogits: () => Promise.resolve(tensor(oracle.shape, Float32Array.from(oracle.data))),
    });
    expect(result.paths).toHaveLength(5);
    for (const { relativeDifference } of result.paths) expect(relativeDifference).toBeLessThan(1e-4);
    expect(result.largestLogit).toBeGreaterThan(0.1);

    const model = decodeModel(file);
    const types = new Set(model.graph!.node!.map(({ opType }) => opType));
    expect(types.has('BatchNormalization')).toBe(false);
    expect(types.has('Reshape')).toBe(false);
    expect(model.graph!.node!.map((node) => node.name)).toContain('stage0.block0/depthwise/conv2d');
    // Nothing is stored but what the costs count: parameters without batch norm's, which are folded into biases.
    const stored = model.graph!.initializer!.reduce((sum, t) => sum + (t.rawData?.length ?? 0), 0);
    expect(stored).toBeLessThanOrEqual(networkCosts(network).params * 4);
  });
});

describe('small supernets', () => {
  const space = smallSpace();
  const weights = randomSupernet(space, 'small');
  const statistics = randomStatistics(space, space.largest, 'small');
  const subnet = { space, weights, arch: space.largest, statistics };
  const whole = subnetModel({ ...subnet });

  it('say what they are', async () => {
    const outPath = join(folder, 'metadata.onnx');
    const classes = ['cat', 'dog', 'größer', '鳥'];
    const normalisation = { mean: [0.5], std: [0.25] };
    const accuracy = { top1: 0.75, split: 'test', dataset: 'four' };
    const latency = [{ device: 'local-cpu', latencyMs: 1.5, batch: 1 }];
    await exportSubnet({ ...subnet, outPath, classes, normalisation, accuracy, latency });
    const bytes = await readFile(outPath);
    const { metadata, opset } = readOnnx(bytes);
    expect(opset).toBe(17);
    expect(JSON.parse(metadata.get(METADATA_KEYS.architecture)!)).toEqual({
      image_size: 24,
      ks: [5, 5, 5, 5],
      e: [3, 3, 4, 4],
      d: [2, 2],
    });
    expect((await verifyModel(bytes)).metadata).toMatchObject({
      space: { name: 'small', overrides: { width: 1, classes: 4, imageSizes: [16, 24] } },
      classes,
      normalisation,
      accuracy,
      latency,
    });
    expect(decodeModel(bytes).producerVersion).toBe(
      JSON.parse(metadata.get(METADATA_KEYS.version)!) as unknown,
    );
  });

  it('name a space that can be loaded again', async () => {
    const tiny = shippedSpace('mbv3-tiny', { classes: 3, imageSizes: [28] });
    const bytes = subnetModel({ space: tiny, weights: randomSupernet(tiny, 'again'), arch: tiny.smallest });
    const { space: found, architecture } = (await verifyModel(bytes)).metadata;
    const loaded = await loadSpace(found!.name, found!.overrides);
    expect(loaded.file).toEqual(tiny.file);
    expect(architecture).toEqual({ image_size: 28, ...without(tiny.smallest) });
  });

  it.each([1, 3, 'dynamic'] as const)('batch %s', async (batch) => {
    const bytes = subnetModel({ ...subnet, batch });
    const result = await verifySubnet(bytes, subnet);
    expect(result.problems).toEqual([]);
    expect(result.passed).toBe(true);
    const { graph, dynamicBatch } = readOnnx(bytes, { batch: 5 });
    expect(dynamicBatch).toBe(batch === 'dynamic');
    expect(graph.outputs.get('logits')!.shape).toEqual([batch === 'dynamic' ? 5 : batch, 4]);
  });

  it('are found out when one weight is wrong', async () => {
    const model = decodeModel(whole);
    const kernel = model.graph!.initializer!.find(({ name }) => name === 'stage1.block0.depthwise.weight')!;
    const data = new Float32Array(Uint8Array.from(kernel.rawData!).buffer);
    data[12]! += 0.05;
    kernel.rawData = new Uint8Array(data.buffer);
    const result = await verifySubnet(onnx.ModelProto.encode(model).finish(), subnet);
    expect(result.passed).toBe(false);
    expect(result.paths.every(({ passed }) => !passed)).toBe(true);
    // By itself the file is consistent: its hash tells.
    const alone = await verifyModel(onnx.ModelProto.encode(model).finish());
    expect(alone.paths.every(({ passed }) => passed)).toBe(true);
    expect(alone).toMatchObject({ passed: false, integrity: 'differs' });
    expect(alone.problems.join()).toContain('the file is damaged or was changed');
  });

  it('are found out when the statistics are of another subnet', async () => {
    const other = { ...subnet, statistics: randomStatistics(space, space.largest, 'other') };
    expect((await verifySubnet(whole, other)).passed).toBe(false);
  });

  it.each([
    [
      'a missing property',
      (m: Model): void => void (m.metadataProps = []),
      'property "ofakit.architecture" is missing',
    ],
    [
      'a second domain',
      (m: Model): void => void m.opsetImport.push({ domain: 'com.x', version: 1 }),
      'no other domain',
    ],
    ['an opset', (m: Model): void => void (m.opsetImport[0]!.version = 18), 'opset 17'],
    [
      'equal names',
      (m: Model): void => void (m.graph!.node![1]!.name = m.graph!.node![0]!.name!),
      'two nodes are called "stem/conv/conv2d"',
    ],
  ] as const)('report %s', async (_what, spoil, message) => {
    const model = decodeModel(whole);
    spoil(model);
    const { passed, problems } = await verifyModel(onnx.ModelProto.encode(model).finish());
    expect(passed).toBe(false);
    expect(problems.join('\n')).toContain(message);
  });

  it('leave the old file where the new one does not hold', async () => {
    const outPath = join(folder, 'kept.onnx');
    await exportSubnet({ ...subnet, outPath });
    const before = await readFile(outPath);
    const broken = new Map(weights);
    const bias = broken.get('classifier.linear.bias') ?? [...broken].find(([n]) => n.endsWith('bias'))![1];
    bias.data.fill(NaN);
    const attempt = exportSubnet({ ...subnet, weights: broken, outPath });
    await expect(attempt).rejects.toThrow('the file must compute what the supernet does');
    bias.data.fill(0);
    await expect(exportSubnet({ ...subnet, outPath, tolerance: 0 })).rejects.toThrow('differs by');
    expect(await readFile(outPath)).toEqual(before);
    expect((await readdir(folder)).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('refuse another subnet of another size, and too few class names', async () => {
    await expect(verifySubnet(whole, { ...subnet, arch: space.smallest })).rejects.toThrow(
      "images must be [1, 1, 16, 16]: the file's are [1, 1, 24, 24]",
    );
    expect(() => subnetModel({ ...subnet, classes: ['one'] })).toThrow('4 names of classes are wanted');
  });
});

type Model = ReturnType<typeof decodeModel>;

function without({ ks, e, d }: Architecture): {
  ks: readonly number[];
  e: readonly number[];
  d: readonly number[];
} {
  return { ks, e, d };
}
