/** Searches that follow gradients find better networks than chance does for the same evaluations, and say what they lack. */
import { afterAll, describe, expect, it } from 'vitest';
import { readMacroTable } from '../../src/accuracy/benchmarks/macroTable.js';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { rankShares } from '../../src/search/rankShares.js';
import { runSearch, type RunOptions } from '../../src/search/run.js';
import { strategyByName } from '../../src/search/strategies/index.js';
import { tabularLimit, tabularQuantity } from '../../src/search/tabular.js';
import { UserError } from '../../src/util/errors.js';
import { landscape } from '../support/landscape.js';
import { sharedData } from '../support/sharedData.js';
import { shippedSpace } from '../support/spaces.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());

const names = ['reinforce', 'nao', 'differentiable'];
const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;

async function bests(
  strategy: string,
  seeds: number,
  options: Omit<RunOptions, 'strategy' | 'seed'>,
): Promise<number[]> {
  const found: number[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const run = await runSearch({ ...options, engine, strategy: strategyByName(strategy), seed });
    found.push(run.best.values[0]!);
  }
  return found;
}

const macro = sharedData('nas-bench-macro-open.json');
describe.skipIf(macro === undefined)('on NAS-Bench-Macro', () => {
  it.each(names)('%s beats random search at 60 evaluations', async (name) => {
    const table = await readMacroTable(macro!);
    const options = {
      genes: table.genes,
      objectives: [tabularQuantity(table, 'top1', 'maximize')],
      constraints: [tabularLimit(table)],
      budget: 60,
    };
    const seeds = name === 'reinforce' ? 20 : 2;
    const own = await bests(name, seeds, options);
    const chance = await bests('random', 20, options);
    expect(mean(own)).toBeGreaterThan(mean(chance));
  });
});

describe('under a latency limit that few networks meet', () => {
  const space = shippedSpace('ofa-mbv3');
  const land = landscape(space, 0);
  const [low, high] = land.latencyMs([space.smallest, space.largest]) as [number, number];
  const options = {
    genes: space.genes,
    objectives: [{ name: 'accuracy', unit: '', direction: 'maximize' as const, evaluate: land.accuracy }],
    constraints: [
      {
        quantity: { name: 'latencyMs', unit: 'ms', direction: 'minimize' as const, evaluate: land.latencyMs },
        limit: low + 0.4 * (high - low),
      },
    ],
    budget: 60,
  };
  it.each(names)('%s beats random search at 60 evaluations', async (name) => {
    const seeds = name === 'reinforce' ? 6 : 1;
    const own = await bests(name, seeds, options);
    expect(mean(own)).toBeGreaterThan(mean(await bests('random', 6, options)));
  });
});

it.each(['nao', 'differentiable'])('%s without an engine is refused', async (name) => {
  const { genes } = shippedSpace('mbv3-tiny');
  const run = runSearch({
    genes,
    strategy: strategyByName(name),
    objectives: [{ name: 'zero', unit: '', direction: 'maximize', evaluate: (archs) => archs.map(() => 0) }],
    constraints: [],
    budget: 10,
    seed: 0,
  });
  await expect(run).rejects.toThrow(UserError);
  await expect(run).rejects.toThrow(/needs an engine/);
});

it('scores become shares of those that are no better', () => {
  expect(rankShares([5, -1, 5, 100])).toEqual([0.5, 0.125, 0.5, 0.875]);
  expect(rankShares([3])).toEqual([0.5]);
});
