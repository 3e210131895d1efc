/** Losses against their formulas, in float64, and the line that puts scores on the scale of targets. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lineOntoTargets } from '../../src/accuracy/predictors/calibration.js';
import { appendLoss, lossInputs } from '../../src/accuracy/predictors/losses.js';
import type { Loss } from '../../src/accuracy/predictor.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { GraphBuilder } from '../../src/graph/graph.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { tensor } from '../../src/util/tensor.js';

function graphOf(loss: Loss, batch: number) {
  const b = new GraphBuilder();
  b.output('loss', appendLoss(b, loss, b.input('scores', [batch, 1])));
  return b.build();
}

function oracle(loss: Loss, scores: Float32Array, targets: Float32Array): number {
  const inputs = Object.entries(lossInputs(loss, targets)).map(([name, { data }]) => [name, data] as const);
  return evaluate(graphOf(loss, scores.length), new Map([['scores', scores], ...inputs])).get('loss')!
    .data[0]!;
}

/** As the header of losses.ts writes them. */
function byDefinition(loss: Loss, scores: Float32Array, targets: Float32Array): number {
  const n = scores.length;
  if (loss === 'squared') return scores.reduce((sum, s, i) => sum + (s - targets[i]!) ** 2, 0) / n;
  let total = 0;
  let pairs = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      if (!(targets[i]! > targets[j]!)) continue;
      const difference = scores[i]! - scores[j]!;
      total += loss === 'hinge' ? Math.max(0, 0.1 - difference) : Math.log1p(Math.exp(-difference));
      pairs++;
    }
  }
  return pairs === 0 ? 0 : total / pairs;
}

const number = fc.integer({ min: -40, max: 40 }).map((value) => value / 16);

describe.each(['squared', 'hinge', 'logistic'] as const)('loss %s', (loss) => {
  it('is its definition', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(number, number), { minLength: 1, maxLength: 7 }), (list) => {
        const scores = Float32Array.from(list, ([score]) => score);
        const targets = Float32Array.from(list, ([, target]) => target);
        expect(oracle(loss, scores, targets)).toBeCloseTo(byDefinition(loss, scores, targets), 4);
      }),
    );
  });

  it('is finite on the engine where scores are far apart', async () => {
    const engine = await createOnnxRuntimeEngine({ threads: 1 });
    const program = await engine.compile(graphOf(loss, 2));
    const { loss: value } = await program.run({
      scores: tensor([2, 1], Float32Array.of(-500, 500)),
      ...lossInputs(loss, Float32Array.of(1, 0)),
    });
    await program.dispose();
    // The wrong way round by 1000.
    const expected = { squared: (501 ** 2 + 500 ** 2) / 2, hinge: 1000.1, logistic: 1000 }[loss];
    expect(value!.data[0]! / expected).toBeCloseTo(1, 5);
  });
});

describe('lineOntoTargets', () => {
  it('recovers a line', () => {
    const { slope, offset } = lineOntoTargets([1, 2, 5], [5, 7, 13]);
    expect(slope).toBeCloseTo(2, 10);
    expect(offset).toBeCloseTo(3, 10);
  });

  it('never falls', () => {
    const { slope, offset } = lineOntoTargets([1, 2, 3], [3, 2, 1]);
    expect(slope).toBe(0);
    expect(offset).toBeCloseTo(2, 10);
    expect(lineOntoTargets([4, 4], [1, 3])).toEqual({ slope: 0, offset: 2 });
  });
});
