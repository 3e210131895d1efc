/** docs/search.md against the strategies: what it says they can do, and the strategy that it shows. */
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { searchObjectives, strategies, type StrategyDefinition } from '../../src/index.js';
import { packagePath } from '../../src/util/scripts.js';
import { annealing } from '../support/annealing.js';
import { landscape } from '../support/landscape.js';
import { shippedSpace } from '../support/spaces.js';
import { strategyConformance } from '../support/strategyConformance.js';

const page = readFileSync(packagePath('docs/search.md'), 'utf8');
const section = page.slice(
  page.indexOf('\n## Strategies\n'),
  page.indexOf('\n### What strategies are worth'),
);
const rows = new Map(
  [...section.matchAll(/^\| `([\w-]+)` \|(.*)\|$/gm)].map(([, name, cells]) => [
    name!,
    cells!.split('|').map((cell) => cell.trim()),
  ]),
);

/** The words of the table for what a strategy declares; its last column is measured. */
function declared({ capabilities, needs, defaultBudget }: StrategyDefinition): string[] {
  return [
    capabilities.multiObjective ? 'one or several' : 'one',
    capabilities.constraints,
    capabilities.resume,
    [
      ...(needs?.surrogate === undefined
        ? []
        : [needs.surrogate === 'variance' ? 'model with variance' : 'model']),
      ...(needs?.fidelity === true ? ['shares of images'] : []),
      ...(needs?.engine === true ? ['engine'] : []),
    ].join(', '),
    Number.isFinite(defaultBudget) ? defaultBudget.toLocaleString('en') : 'all',
  ];
}

describe('the table of capabilities', () => {
  it('has every strategy, and none that there is not', () => {
    expect([...rows.keys()].sort()).toEqual([...strategies.keys()].sort());
  });

  it.each([...strategies.values()].map((strategy) => [strategy.name, strategy] as const))(
    'says what %s declares',
    (name, strategy) => {
      const cells = rows.get(name)!;
      expect(cells.slice(0, -1)).toEqual(declared(strategy));
      expect(cells.at(-1)).not.toBe('');
    },
  );
});

describe('a strategy outside the package', () => {
  it('is the one of the page', () => {
    const shown = /### A strategy of your own[^]*?```ts\n([^]*?)```/.exec(page)?.[1];
    const tested = readFileSync(packagePath('test/support/annealing.ts'), 'utf8');
    expect(shown).toBe(tested.replace('../../src/index.js', 'ofakit'));
  });

  it('finds better networks than random search does', async () => {
    const space = shippedSpace('mbv3-tiny');
    const { accuracy } = landscape(space, 2);
    const best = async (strategy: StrategyDefinition, seed: number): Promise<number> => {
      const objective = { name: 'accuracy', unit: '', direction: 'maximize', evaluate: accuracy } as const;
      const found = await searchObjectives({ space, objectives: [objective], strategy, budget: 300, seed });
      return found.best.values[0]!;
    };
    let gain = 0;
    for (let seed = 0; seed < 10; seed++)
      gain += (await best(annealing, seed)) - (await best(strategies.get('random')!, seed));
    expect(gain).toBeGreaterThan(0);
  });
});

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());
strategyConformance(annealing, engine);
