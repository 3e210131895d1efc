/** Networks that a differentiable search climbs: they learn, and their gradients are those of their values. */
import { afterAll, describe, expect, it } from 'vitest';
import { fitRelaxedEnsemble } from '../../src/accuracy/relaxedEnsemble.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { createRandom } from '../../src/util/random.js';
import '../support/matchers.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());

const width = 9;
const random = createRandom('relaxed');
/** Three genes of three choices; what is worth most is the second choice, but for the first gene. */
const genotypes = Array.from({ length: 27 }, (_, i) => [i % 3, Math.floor(i / 3) % 3, Math.floor(i / 9)]);
const rowOf = (genotype: readonly number[]): number[] =>
  genotype.flatMap((choice) => [0, 1, 2].map((c) => Number(c === choice)));
const worth = (genotype: readonly number[]): number =>
  genotype[0]! - 1 + 1.5 * Number(genotype[1] === 1) + Number(genotype[2] === 1) - 0.8;
const options = {
  rows: Float32Array.from(genotypes.flatMap(rowOf)),
  width,
  targets: Float32Array.from(genotypes, worth),
  members: 2,
  engine,
  seed: 3,
};

describe('a relaxed ensemble', () => {
  it('knows what it was fitted on, and the mean of it between', async () => {
    const model = await fitRelaxedEnsemble(options);
    for (const member of model.members) {
      const { values } = await member.gradient(options.rows, genotypes.length);
      expect([...values]).toBeAllclose([...options.targets], { relative: 0, absolute: 0.25 });
      const { values: between } = await member.gradient(new Float32Array(width).fill(1 / 3), 1);
      expect(Math.abs(between[0]!)).toBeLessThan(0.6);
    }
    await model.dispose();
  });

  it('has gradients that are differences of its values, between architectures too', async () => {
    const model = await fitRelaxedEnsemble(options);
    const points = Float32Array.from({ length: 3 * width }, () => random.float());
    const h = 1e-2;
    for (const member of model.members) {
      const { gradients } = await member.gradient(points, 3);
      const differences: number[] = [];
      for (let i = 0; i < points.length; i++) {
        const at = async (moved: number): Promise<number> => {
          const { values } = await member.gradient(points.with(i, points[i]! + moved), 3);
          return values[Math.floor(i / width)]!;
        };
        differences.push(((await at(h)) - (await at(-h))) / (2 * h));
      }
      // A few of its rectifiers have their kink within a step.
      expect([...gradients]).toBeAllclose(differences, { relative: 0.05, absolute: 0.05 });
    }
    await model.dispose();
  });

  it('is the same for the same seed; its members differ', async () => {
    const [one, same] = [await fitRelaxedEnsemble(options), await fitRelaxedEnsemble(options)];
    const of = (model: typeof one, member: number) => model.members[member]!.gradient(options.rows, 27);
    expect(await of(same, 0)).toEqual(await of(one, 0));
    expect((await of(one, 1)).values).not.toEqual((await of(one, 0)).values);
    await one.dispose();
    await same.dispose();
  });
});
