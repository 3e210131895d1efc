import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readTableForQueries, sameBlocks, tablePath } from '../../src/latency/table.js';
import { findSourceTable, findTable, ownTablePath } from '../../src/pipeline/tables.js';
import { makeTable } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';

const path = temporaryFolder();
let count = 0;
const newFolder = (): string => path(`${count++}`);

const tiny = shippedSpace('mbv3-tiny');
const wide = shippedSpace('mbv3-tiny', { width: 2 });
const fewClasses = shippedSpace('mbv3-tiny', { classes: 5 });
const otherSizes = shippedSpace('mbv3-tiny', { imageSizes: [16] });

describe('ownTablePath', () => {
  it('names the width and the classes that are not those of the shipped space', async () => {
    const folder = newFolder();
    const names = await Promise.all(
      [tiny, otherSizes, wide, fewClasses].map((space) => ownTablePath('pc', space, folder)),
    );
    const wanted = ['mbv3-tiny', 'mbv3-tiny', 'mbv3-tiny-w2', 'mbv3-tiny-c5'];
    expect(names).toEqual(wanted.map((name) => tablePath('pc', name, folder)));
  });

  it('goes on with a table of the same blocks under an older name', async () => {
    const folder = newFolder();
    const path = tablePath('pc', 'mbv3-tiny', folder);
    await makeTable(path, wide, 'pc');
    expect(await ownTablePath('pc', wide, folder)).toBe(path);
  });

  it('does not take the name of a table of other blocks', async () => {
    const folder = newFolder();
    const own = smallSpace();
    await makeTable(tablePath('pc', 'small', folder), smallSpace([{ depth: [1], kernel: [3], expand: [2] }]));
    expect(await ownTablePath('pc', own, folder)).toBe(tablePath('pc', 'small-w1-c4', folder));
  });
});

describe('findTable', () => {
  it('finds the table for the same blocks among several of a device', async () => {
    const folder = newFolder();
    for (const space of [tiny, wide, fewClasses])
      await makeTable(await ownTablePath('pc', space, folder), space, 'pc');
    for (const space of [tiny, wide, fewClasses, otherSizes]) {
      const { space: found } = await readTableForQueries(await findTable('pc', space, undefined, folder));
      expect(sameBlocks(found, space.file)).toBe(true);
    }
  });

  it('takes the table in the folder before that of the package, which it finds by content', async () => {
    const space = shippedSpace('ofa-mbv3', { width: 1.2 });
    const folder = newFolder();
    expect(await findTable('note10', space, undefined, folder)).toBe(tablePath('note10', 'ofa-mbv3'));
    const own = await ownTablePath('note10', space, folder);
    mkdirSync(join(folder, 'note10'), { recursive: true });
    await makeTable(own, space, 'note10');
    expect(await findTable('note10', space, undefined, folder)).toBe(own);
  });

  it('names the tables that are for other widths or classes', async () => {
    const folder = newFolder();
    await makeTable(await ownTablePath('pc', wide, folder), wide, 'pc');
    await expect(findTable('pc', fewClasses, undefined, folder)).rejects.toThrow(
      /of width 1 with 5 classes: looked in .*pc, where .*mbv3-tiny-w2\.json is for width 2 with 10 classes; measure/,
    );
  });

  it('names a damaged table', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'pc'), { recursive: true });
    const file = tablePath('pc', 'mbv3-tiny', folder);
    await makeTable(file, tiny, 'pc');
    writeFileSync(file, '{"format":');
    await expect(findTable('pc', tiny, undefined, folder)).rejects.toThrow(/mbv3-tiny\.json: it is not JSON/);
  });
});

describe('findSourceTable', () => {
  it('prefers the same blocks, and takes another width where there is nothing better', async () => {
    const folder = newFolder();
    const first = await ownTablePath('pc', wide, folder);
    await makeTable(first, wide, 'pc');
    expect(await findSourceTable('pc', tiny, folder)).toBe(first);
    const own = await ownTablePath('pc', tiny, folder);
    await makeTable(own, tiny, 'pc');
    expect(await findSourceTable('pc', tiny, folder)).toBe(own);
    await expect(findSourceTable('none', tiny, folder)).rejects.toThrow(
      /Cannot find a latency table of device "none"/,
    );
  });
});
