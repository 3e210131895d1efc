/**
 * The lookup tables of OFA and ProxylessNAS. Every block of the space is given the figures whose keys the reference would
 * look up, image size by image size; so the table's sum over a network is the reference's number.
 */
import type { BlockSpec } from '../../space/network.js';
import { createSpace, type SearchSpace } from '../../space/space.js';
import { UserError } from '../../util/errors.js';
import { distinctBlocks } from '../blocks.js';
import type { ImportedEntry, ImportedPart } from '../imported.js';
import type { LatencyImport } from './format.js';
import { readLutFiles, type LutRows } from './lutFiles.js';
import { referenceKeys, type KeyForm } from './referenceKeys.js';

/** Keys of ProxylessNAS have no squeeze-excite and no h_swish. */
function keyForm(rows: LutRows): KeyForm {
  const keys = [...rows.values()].flatMap((list) => [...list.keys()]);
  return keys.some((key) => /^expanded_conv-.*-hs:[01]$/.test(key)) ? 'mbv3' : 'proxyless';
}

/** The space at the table's image sizes. */
function atSizes(space: SearchSpace, imageSizes: readonly number[]): SearchSpace {
  return createSpace(space.file, { imageSizes }, `the space "${space.name}"`);
}

/** Keys that every architecture of an image size has: without them no question about it can be answered. */
function fixedKeys(space: SearchSpace, imageSize: number): Set<string> {
  const keys = (arch: SearchSpace['largest']): string[] =>
    space.network({ ...arch, imageSize }).blocks.map(({ key }) => key);
  const smallest = new Set(keys(space.smallest));
  return new Set(keys(space.largest).filter((key) => smallest.has(key)));
}

function refusal(
  space: SearchSpace,
  block: BlockSpec,
  imageSize: number,
  wanted: readonly string[],
): UserError {
  const { name, parameters } = space;
  const reason =
    wanted.length === 0
      ? `such tables do not know blocks like "${block.key}"`
      : `at image size ${imageSize} it must have ${wanted.map((key) => `"${key}"`).join(', ')} (block "${block.name}"): it is not there; is --width, --classes or --space another?`;
  return new UserError(
    `Cannot import the lookup table for space "${name}" of width ${parameters.width}: ${reason}`,
  );
}

export const ofaLut: LatencyImport = {
  name: 'ofa-lut',
  description: 'lookup tables of OFA and ProxylessNAS: YAML (one image size a file) or CSV',
  async read({ files, device, space: given, origin, batch }) {
    const rows = await readLutFiles(files);
    const form = keyForm(rows);
    const imageSizes = [...rows.keys()].sort((a, b) => a - b);
    if (imageSizes.length === 0) {
      throw new UserError(`Cannot import ${files.join(', ')}: there are no entries`);
    }
    const space = atSizes(given, imageSizes);
    const missing = new Map<number, string[]>();
    // By image size: of a block that all of its networks have.
    const refusals = new Map<number, UserError>();
    let unused = 0;
    const entries: Record<string, Record<string, ImportedEntry>> = {};
    for (const imageSize of imageSizes) {
      const list = rows.get(imageSize)!;
      const fixed = fixedKeys(space, imageSize);
      const left = new Set(list.keys());
      const found: Record<string, ImportedEntry> = {};
      for (const block of distinctBlocks(space, [imageSize])) {
        const wanted = referenceKeys(block, form);
        const [first, ...rest] = wanted.map((key) => list.get(key)).filter((part) => part !== undefined);
        if (first === undefined || 1 + rest.length < wanted.length) {
          const lacking = wanted.filter((key) => !list.has(key));
          if (fixed.has(block.key) && !refusals.has(imageSize))
            refusals.set(imageSize, refusal(space, block, imageSize, lacking));
          missing.set(imageSize, [...(missing.get(imageSize) ?? []), block.key]);
          continue;
        }
        const parts: [ImportedPart, ...ImportedPart[]] = [first, ...rest];
        found[block.key] = parts;
        for (const key of wanted) left.delete(key);
      }
      entries[imageSize] = found;
      unused += left.size;
    }
    const [first] = refusals.values();
    if (first !== undefined && refusals.size === imageSizes.length) throw first;
    return {
      table: {
        format: 'ofakit.imported-latency-table/1',
        device: { name: device },
        origin,
        space: space.file,
        batch,
        entries,
      },
      missing,
      unused,
    };
  },
};
