import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeSpace } from '../../src/space/describe.js';
import { networkCosts } from '../../src/space/costs.js';
import { listSpaces, loadSpace } from '../../src/space/presets.js';
import { smallSpace } from '../support/spaces.js';

describe('loadSpace', () => {
  it.each(listSpaces())('reads %s, every architecture of which ends in logits', async (name) => {
    const space = await loadSpace(name);
    expect(space.name).toBe(name);
    for (const arch of [space.smallest, space.largest]) {
      const { blocks, classes } = space.network(arch);
      expect(blocks.at(-1)?.output).toEqual({ channels: classes, height: 1, width: 1 });
      blocks.slice(1).forEach((block, i) => expect(block.input).toEqual(blocks[i]!.output));
    }
  });

  it('lists what ships', () => {
    expect(listSpaces()).toEqual(
      expect.arrayContaining(['mbv3-tiny', 'mbv3-cifar', 'ofa-mbv3', 'ofa-proxyless', 'ofa-resnet50']),
    );
  });

  it('applies overrides', async () => {
    const space = await loadSpace('ofa-mbv3', { width: 0.35, classes: 7, imageSizes: [96, 64, 96] });
    expect(space.file).toMatchObject({ width: 0.35, classes: 7, imageSizes: [64, 96] });
    expect(space.largest.imageSize).toBe(96);
    expect(space.network(space.smallest).blocks.at(-1)?.output.channels).toBe(7);
  });

  it('names the spaces that exist for an unknown name', async () => {
    await expect(loadSpace('mbv9')).rejects.toThrow(/Unknown search space "mbv9": known are .*ofa-mbv3/);
  });

  it('reads a file of its own and says where a mistake is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'space-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const path = join(folder, 'mine.json');
    await writeFile(path, JSON.stringify(smallSpace().file));
    expect((await loadSpace(path)).genes).toEqual(smallSpace().genes);
    await writeFile(path, JSON.stringify({ ...smallSpace().file, width: -1 }));
    await expect(loadSpace(path)).rejects.toThrow(`Cannot use ${path} at "width"`);
    await expect(loadSpace(join(folder, 'none.json'))).rejects.toThrow('there is no such file');
  });

  it('refuses depths that are not whole numbers', () => {
    expect(() => smallSpace([{ depth: [1, 1.5], kernel: [3], expand: [2] }])).toThrow(/whole numbers/);
  });
});

describe('describeSpace', () => {
  it('tells dimensions, size and MACs range', async () => {
    const space = await loadSpace('ofa-mbv3');
    const shown = describeSpace(space);
    expect(shown.dimensions.map(({ list, positions }) => [list, positions.length])).toEqual([
      ['imageSize', 1],
      ['d', 5],
      ['ks', 20],
      ['e', 20],
    ]);
    expect(shown.subnets).toBe(`${25n * 7371n ** 5n}`);
    expect(shown.macs[0]).toBe(networkCosts(space.network(space.smallest)).macs);
    expect(shown.macs[1]).toBeGreaterThan(shown.macs[0]);
    expect(JSON.parse(JSON.stringify(shown))).toEqual(shown);
  });
});
