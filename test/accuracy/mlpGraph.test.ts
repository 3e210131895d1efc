/** The predictor's graphs: gradients against central differences in float64, and the engine against the oracle. */
import { describe, expect, it } from 'vitest';
import {
  initDense,
  mlpParameters,
  mlpPredictionGraph,
  mlpTrainingGraph,
} from '../../src/accuracy/predictors/mlpGraph.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { createRandom } from '../../src/util/random.js';
import { tensor } from '../../src/util/tensor.js';
import '../support/matchers.js';

const shape = { inputs: 7, width: 6, layers: 3 };
const batch = 5;
const random = createRandom('mlp-graph');
const parameters = initDense(mlpParameters(shape), random);
const given: Record<string, Float32Array> = {
  x: Float32Array.from({ length: batch * shape.inputs }, () => random.normal()),
  target: Float32Array.from({ length: batch }, () => random.normal()),
  ...parameters,
};

/** The network written out. */
function lossByHand(values: Readonly<Record<string, ArrayLike<number>>>): number {
  let total = 0;
  for (let row = 0; row < batch; row++) {
    let y = Array.from({ length: shape.inputs }, (_, i) => values['x']![row * shape.inputs + i]!);
    for (let layer = 0; layer < 3; layer++) {
      const weight = values[`hidden${layer}.weight`]!;
      const bias = values[`hidden${layer}.bias`]!;
      y = Array.from({ length: shape.width }, (_, j) =>
        Math.max(
          0,
          y.reduce((sum, v, i) => sum + v * weight[i * shape.width + j]!, bias[j]!),
        ),
      );
    }
    const output = y.reduce((sum, v, i) => sum + v * values['output.weight']![i]!, 0);
    total += (output - values['target']![row]!) ** 2 / batch;
  }
  return total;
}

describe('mlpTrainingGraph', () => {
  it('has the loss of the network and its gradients', () => {
    const results = evaluate(mlpTrainingGraph(shape, batch, 'squared'), new Map(Object.entries(given)));
    const exact = Object.fromEntries(
      Object.entries(given).map(([name, data]) => [name, Float64Array.from(data)]),
    );
    expect(results.get('loss')!.data[0]).toBeCloseTo(lossByHand(exact), 10);
    for (const name of mlpParameters(shape).keys()) {
      const gradient = results.get(`gradient.${name}`)!.data;
      const h = 1e-5;
      const differences = gradient.map((_, i) => {
        const at = (delta: number): number =>
          lossByHand({ ...exact, [name]: exact[name]!.with(i, exact[name]![i]! + delta) });
        return (at(h) - at(-h)) / (2 * h);
      });
      expect(gradient).toBeAllclose(differences, { relative: 1e-5, absolute: 1e-8 });
      expect(gradient.some((v) => v !== 0)).toBe(true);
    }
  });

  it('gives the same on ONNX Runtime', async () => {
    const graph = mlpTrainingGraph(shape, batch, 'squared');
    const expected = evaluate(graph, new Map(Object.entries(given)));
    const engine = await createOnnxRuntimeEngine({ threads: 1 });
    const program = await engine.compile(graph);
    const actual = await program.run(
      Object.fromEntries([...graph.inputs].map(([name, value]) => [name, tensor(value.shape, given[name])])),
    );
    for (const [name, { data }] of expected)
      expect(actual[name]!.data).toBeAllclose(data, { relative: 1e-4 });
    await program.dispose();
  });
});

describe('mlpPredictionGraph', () => {
  it('gives each member a result of its own', () => {
    const other = initDense(mlpParameters(shape), createRandom('other'));
    const graph = mlpPredictionGraph(shape, batch, [parameters, other]);
    const results = evaluate(graph, new Map([['x', given['x']!]]));
    for (const [i, member] of [parameters, other].entries()) {
      const predicted = results.get(`member${i}`)!.data;
      const loss = lossByHand({ ...given, ...member });
      const mean = predicted.reduce((sum, y, row) => sum + (y - given['target']![row]!) ** 2 / batch, 0);
      expect(mean).toBeCloseTo(loss, 8);
    }
  });
});
