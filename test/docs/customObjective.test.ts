/** The objective that docs/search.md shows is one that works. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { createOnnxRuntimeEngine, openRun, searchRun } from '../../src/index.js';
import { packagePath } from '../../src/util/scripts.js';
import { makeRun } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';
import { smallSpace } from '../support/spaces.js';

const path = temporaryFolder();

it('is sought beside others', async () => {
  const page = readFileSync(packagePath('docs/search.md'), 'utf8');
  const [, shown] = /### An objective of your own[^]*?```js\n([^]*?)```/.exec(page)!;
  writeFileSync(path('traffic.mjs'), shown!);
  const space = smallSpace();
  await makeRun(path('run'), 'mnist', 1, space);
  const { front } = await searchRun({
    run: await openRun(path('run')),
    engine: await createOnnxRuntimeEngine({ threads: 1 }),
    devices: [],
    objectives: ['params', path('traffic.mjs')],
    pareto: true,
    seed: 0,
  });
  for (const { architecture, values } of front) {
    const { input, blocks } = space.network(architecture);
    const shapes = blocks.flatMap((block) => [block.input, block.output]);
    const bytes = shapes.reduce((sum, { channels, height, width }) => sum + 4 * channels * height * width, 0);
    expect(values['trafficBytes']).toBe(bytes);
    expect(input.channels).toBe(1);
  }
});
