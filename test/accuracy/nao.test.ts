/** The embedding of architectures: it can be undone, its gradient is that of its head, and climbing it leads to better ones. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneHotEncoder } from '../../src/accuracy/encoding.js';
import { fitArchitectureEmbedding, type ArchitectureEmbedding } from '../../src/accuracy/predictors/nao.js';
import {
  genePlaces,
  naoParameters,
  naoPartGraph,
  naoTrainingGraph,
} from '../../src/accuracy/predictors/naoGraph.js';
import { initDense } from '../../src/accuracy/predictors/mlpGraph.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { evaluate } from '../../src/graph/evaluate.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace } from '../support/spaces.js';

const space = shippedSpace('mbv3-tiny');
const encoder = oneHotEncoder(space);
const engine = await createOnnxRuntimeEngine({ threads: 1 });
const list = distinctArchitectures(space.genes, 5);
const archs = Array.from({ length: 600 }, () => list.next().value!.architecture);
/** Better with every larger choice. */
const top1 = (arch: Architecture): number => {
  const vector = encoder.encode(arch);
  return (
    0.6 +
    0.03 * encoder.labels.reduce((sum, label, i) => sum + vector[i]! * Number(label.split('=')[1]) * 0.1, 0)
  );
};

describe('fitArchitectureEmbedding', () => {
  let embedding: ArchitectureEmbedding<Architecture>;
  beforeAll(async () => {
    embedding = await fitArchitectureEmbedding(
      archs.slice(0, 100).map((architecture) => ({ architecture, top1: top1(architecture) })),
      { encoder, engine, seed: 0, unlabelled: archs.slice(100, 500) },
    );
  }, 60_000);
  afterAll(() => embedding.dispose());

  const some = (points: Float32Array, i: number): Float32Array =>
    points.subarray(i * embedding.embeddingSize, (i + 1) * embedding.embeddingSize);

  it('is undone by decoding, also for architectures it never saw', async () => {
    const decoded = await embedding.decode(await embedding.encode(archs));
    const key = (arch: Architecture): string => architectureKey(space.genes, arch);
    const right = decoded.filter((arch, i) => key(arch) === key(archs[i]!));
    expect(right.length).toBeGreaterThan(0.9 * archs.length);
  });

  it('predicts from points', async () => {
    const unseen = archs.slice(500);
    const predicted = await embedding.predict(await embedding.encode(unseen));
    const errors = unseen.map((arch, i) => Math.abs(predicted[i]! - top1(arch)));
    expect(errors.reduce((sum, e) => sum + e, 0) / errors.length).toBeLessThan(0.01);
  });

  it('leads to better architectures when its gradient is climbed', async () => {
    const start = archs.slice(500, 520);
    let points = await embedding.encode(start);
    for (let step = 0; step < 20; step++) {
      const gradient = await embedding.gradient(points);
      points = points.map((value, i) => value + gradient[i]!);
    }
    const reached = await embedding.decode(points);
    const better = reached.filter((arch, i) => top1(arch) > top1(start[i]!));
    expect(better.length).toBeGreaterThan(15);
  });

  it('has gradients in the direction in which accuracy rises', async () => {
    const points = await embedding.encode(archs.slice(0, 1));
    const gradient = await embedding.gradient(points);
    const length = Math.hypot(...gradient);
    const at = async (delta: number) =>
      (await embedding.predict(some(points, 0).map((v, i) => v + (delta * gradient[i]!) / length)))[0]!;
    expect(await at(0.05)).toBeGreaterThan(await at(0));
    expect(await at(0)).toBeGreaterThan(await at(-0.05));
  });

  it('takes no points, and refuses no samples', async () => {
    expect((await embedding.encode([])).length).toBe(0);
    expect(await embedding.decode(new Float32Array())).toEqual([]);
    await expect(fitArchitectureEmbedding([], { encoder, engine, seed: 0 })).rejects.toThrow(UserError);
  });

  it('is flat where all accuracies are equal', async () => {
    const equal = archs.slice(0, 5).map((architecture) => ({ architecture, top1: 0.75 }));
    const flat = await fitArchitectureEmbedding(equal, { encoder, engine, seed: 0 });
    const points = await flat.encode(archs.slice(0, 3));
    for (const value of await flat.predict(points)) expect(value).toBeCloseTo(0.75, 6);
    await flat.dispose();
  });
});

describe('graphs', () => {
  const shape = { inputs: 5, embedding: 3, width: 4 };
  const random = createRandom('nao-graph');
  const parameters = initDense(naoParameters(shape), random);
  const row = [1, 0, 0, 1, 0];

  it('find the places of genes', () => {
    expect(genePlaces(['a=1', 'a=2', 'b=1', 'b=2', 'b=3'])).toEqual([
      [0, 1],
      [2, 3, 4],
    ]);
    expect(genePlaces(['a=1', 'log MACs'])).toBeUndefined();
  });

  it('reconstruct genes by cross entropy: a gene that is switched off does not count', () => {
    const groups = [
      [0, 1],
      [2, 3, 4],
    ];
    const lossOf = (rows: readonly number[]): number => {
      const graph = naoTrainingGraph(shape, 1, { loss: 'squared', headShare: 0, groups });
      const inputs = new Map<string, Float32Array>([
        ['x', Float32Array.from(row)],
        ['target', Float32Array.of(0)],
        ['rows', Float32Array.from(rows)],
        ...Object.entries(parameters),
      ]);
      return evaluate(graph, inputs).get('loss')!.data[0]!;
    };
    const scores = (rows: readonly number[]): Float64Array => {
      const embedding = evaluate(
        naoPartGraph(shape, 'encoder', 1, parameters),
        new Map([['x', Float32Array.from(rows)]]),
      ).get('y')!;
      return evaluate(
        naoPartGraph(shape, 'decoder', 1, parameters),
        new Map([['x', Float32Array.from(embedding.data)]]),
      ).get('y')!.data;
    };
    const logSoftmax = (values: Float64Array, at: number): number =>
      values[at]! - Math.log(values.reduce((sum, v) => sum + Math.exp(v), 0));
    const full = scores(row);
    const both = -logSoftmax(full.slice(0, 2), 0) - logSoftmax(full.slice(2), 1);
    expect(lossOf(row)).toBeCloseTo(both, 5);
    const without = [1, 0, 0, 0, 0];
    expect(lossOf(without)).toBeCloseTo(-logSoftmax(scores(without).slice(0, 2), 0), 5);
  });

  it("give the head's gradient: that of central differences", () => {
    const point = Float32Array.from({ length: 3 }, () => random.normal());
    const graph = naoPartGraph(shape, 'head', 1, parameters);
    const at = (x: Float32Array): number => evaluate(graph, new Map([['x', x]])).get('y')!.data[0]!;
    const gradient = evaluate(graph, new Map([['x', point]])).get('gradient')!.data;
    const h = 2 ** -10;
    for (let i = 0; i < 3; i++) {
      const difference = (at(point.with(i, point[i]! + h)) - at(point.with(i, point[i]! - h))) / (2 * h);
      expect(gradient[i]).toBeCloseTo(difference, 3);
    }
  });
});
