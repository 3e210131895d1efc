/** The oracle as an engine: float64 arithmetic, results rounded to float32 once at the end. For tests and tiny graphs. */
import { evaluate } from '../graph/evaluate.js';
import type { Engine } from './engine.js';

export const referenceEngine: Engine = {
  name: 'reference (float64)',
  compile: (graph) =>
    Promise.resolve({
      run: (inputs) => {
        const results = evaluate(
          graph,
          new Map(Object.entries(inputs).map(([name, { data }]) => [name, data])),
        );
        return Promise.resolve(
          Object.fromEntries(
            [...results].map(([name, { shape, data }]) => [name, { shape, data: Float32Array.from(data) }]),
          ),
        );
      },
      dispose: () => Promise.resolve(),
    }),
  dispose: () => Promise.resolve(),
};
