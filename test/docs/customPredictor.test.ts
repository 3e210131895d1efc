/** The predictor that docs/search.md shows is one that works, from the public API alone. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createEncoder, fitAndEvaluate, loadSpace, type Architecture } from '../../src/index.js';
import { distinctArchitectures } from '../../src/accuracy/sampling.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { packagePath } from '../../src/util/scripts.js';
import { nearestNeighbours } from '../support/nearestNeighbours.js';

it('is the one of the page', () => {
  const page = readFileSync(packagePath('docs/search.md'), 'utf8');
  const shown = /### A predictor of your own[^]*?```ts\n([^]*?)```/.exec(page)?.[1];
  const tested = readFileSync(packagePath('test/support/nearestNeighbours.ts'), 'utf8');
  expect(shown).toBe(tested.replace('../../src/index.js', 'ofakit'));
});

it('fits, ranks and is restored', async () => {
  const space = await loadSpace('mbv3-tiny');
  const engine = await createOnnxRuntimeEngine({ threads: 1 });
  const top1 = ({ ks, e, imageSize }: Architecture): number =>
    0.5 + 0.004 * (imageSize + [...ks, ...e].reduce((sum, choice) => sum + choice, 0));
  const list = distinctArchitectures(space.genes, 0);
  const samples = Array.from({ length: 200 }, () => {
    const { architecture } = list.next().value!;
    return { architecture, top1: top1(architecture) };
  });
  const context = { encoder: createEncoder('one-hot', space), engine, seed: 0 };
  const { predictor, score } = await fitAndEvaluate(nearestNeighbours, samples, 50, context);
  expect(score.kendallTau).toBeGreaterThan(0.4);
  const archs = samples.map(({ architecture }) => architecture);
  const restored = nearestNeighbours.restore(predictor.state(), context);
  expect(await restored.predict(archs)).toEqual(await predictor.predict(archs));
  expect(() => nearestNeighbours.restore({ ...predictor.state(), tensors: new Map() }, context)).toThrow(
    /missing/,
  );
});
