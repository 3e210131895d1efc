/** Gradient rules against central differences, in float64: first derivatives, and second ones where they exist. */
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/graph/differentiate.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder, type Value } from '../../src/graph/graph.js';
import { createRandom, type Random } from '../../src/util/random.js';
import { sizeOf, type Shape } from '../../src/util/tensor.js';
import { operationCases, type OperationCase } from '../support/operationCases.js';
import '../support/matchers.js';

function randomInputs(
  inputs: readonly Shape[],
  random: Random,
  positive: readonly number[] = [],
): Float64Array[] {
  return inputs.map((shape, i) =>
    Float64Array.from({ length: sizeOf(shape) }, () =>
      positive.includes(i) ? 0.5 + random.float() : random.normal(),
    ),
  );
}

/** <seed, f(inputs)> and its gradients with respect to every input that is not fixed. */
function scalarAndGradients(testCase: OperationCase): {
  names: string[];
  run: (inputs: Float64Array[]) => Map<string, Float64Array>;
} {
  const b = new GraphBuilder();
  const inputs = testCase.inputs.map((shape, i) => b.input(`x${i}`, shape));
  const y = testCase.build(b, inputs);
  const seed = b.input('seed', y.shape);
  b.output('y', y);
  const wanted = inputs.filter((_, i) => !testCase.fixed?.includes(i));
  const gradients = differentiate(b, [{ value: y, gradient: seed }], wanted);
  wanted.forEach((input, i) => b.output(`d${inputs.indexOf(input)}`, gradients[i]!));
  const graph = b.build();
  const random = createRandom('seed', testCase.name);
  const direction = Float64Array.from({ length: sizeOf(y.shape) }, () => random.normal());
  return {
    names: wanted.map((input) => `d${inputs.indexOf(input)}`),
    run: (values) => {
      const given = new Map<string, Float64Array>(values.map((data, i) => [`x${i}`, data]));
      const results = evaluate(graph, given.set('seed', direction));
      const scalar = results.get('y')!.data.reduce((sum, v, i) => sum + v * direction[i]!, 0);
      return new Map([
        ...[...results].map(([name, { data }]) => [name, data] as const),
        ['scalar', Float64Array.of(scalar)],
      ]);
    },
  };
}

/** Compares up to 20 entries of a gradient, drawn by seed, with central differences of `run`. */
function expectCentralDifferences(
  actual: Float64Array,
  run: (inputs: Float64Array[]) => number,
  inputs: Float64Array[],
  which: number,
  random: Random,
): void {
  const h = 1e-5;
  const entries = random.shuffle([...inputs[which]!.keys()]).slice(0, 20);
  const expected = entries.map((i) => {
    const at = (v: number): number => run(inputs.map((data, j) => (j === which ? data.with(i, v) : data)));
    const value = inputs[which]![i]!;
    return (at(value + h) - at(value - h)) / (2 * h);
  });
  expect(entries.map((i) => actual[i]!)).toBeAllclose(expected, { relative: 1e-6, absolute: 1e-7 });
}

describe('first derivatives', () => {
  it.each(operationCases)('$name', (testCase) => {
    const { names, run } = scalarAndGradients(testCase);
    const inputs = randomInputs(testCase.inputs, createRandom('inputs', testCase.name), testCase.positive);
    const results = run(inputs);
    for (const name of names) {
      const random = createRandom('entries', testCase.name, name);
      expectCentralDifferences(
        results.get(name)!,
        (values) => run(values).get('scalar')![0]!,
        inputs,
        Number(name.slice(1)),
        random,
      );
    }
  });
});

describe('second derivatives', () => {
  const twice = operationCases.filter(({ name }) => !/[57]x[57]/.test(name));
  it.each(twice)('$name', (testCase) => {
    // The gradients of <directions, first gradients>, also with respect to the gradient that flows in.
    const b = new GraphBuilder();
    const inputs = testCase.inputs.map((shape, i) => b.input(`x${i}`, shape));
    const wanted = inputs.filter((_, i) => !testCase.fixed?.includes(i));
    const y = testCase.build(b, inputs);
    const seed = b.input('seed', y.shape);
    const first = differentiate(b, [{ value: y, gradient: seed }], wanted);
    const directions = first.map((g, i) => b.input(`direction${i}`, g!.shape));
    const variables = [...wanted, seed];
    const second = differentiate(
      b,
      first.map((value, i) => ({ value: value!, gradient: directions[i]! })),
      variables,
    );
    const given = [...inputs, seed];
    const dependent: [string, Value][] = [];
    second.forEach((g, i) => {
      if (g !== undefined) dependent.push([`x${given.indexOf(variables[i]!)}`, g]);
    });
    first.forEach((g, i) => b.output(`first${i}`, g!));
    dependent.forEach(([name, g]) => b.output(`second ${name}`, g));
    const graph = b.build();
    const random = createRandom('second', testCase.name);
    const values = randomInputs([...testCase.inputs, y.shape], random, testCase.positive);
    const fixed = new Map<string, Float64Array>(
      directions.map((d, i) => [
        `direction${i}`,
        Float64Array.from({ length: sizeOf(d.shape) }, () => random.normal()),
      ]),
    );
    const names = given.map((value) => (value === seed ? 'seed' : `x${inputs.indexOf(value)}`));
    const run = (data: Float64Array[]): Map<string, Float64Array> => {
      const results = evaluate(graph, new Map([...fixed, ...data.map((d, i) => [names[i]!, d] as const)]));
      return new Map([...results].map(([name, { data: out }]) => [name, out]));
    };
    const scalar = (data: Float64Array[]): number => {
      const results = run(data);
      return first.reduce((sum, _, i) => {
        const direction = fixed.get(`direction${i}`)!;
        return sum + results.get(`first${i}`)!.reduce((s, v, j) => s + v * direction[j]!, 0);
      }, 0);
    };
    const results = run(values);
    for (const variable of variables) {
      const i = given.indexOf(variable);
      const actual = results.get(`second x${i}`) ?? new Float64Array(values[i]!.length);
      expectCentralDifferences(actual, scalar, values, i, random);
    }
  });
});
