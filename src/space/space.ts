/** Search spaces: read, validated, and turned into networks. */
import { z } from 'zod';
import { unknownName, UserError } from '../util/errors.js';
import { validate } from '../util/files.js';
import { architectureFileSchema, fromFile, toFile, type Architecture } from './architecture.js';
import { families } from './families/index.js';
import type { SpaceParameters } from './family.js';
import { geneLabel, geneValue, isActive, type Gene } from './gene.js';
import type { Network } from './network.js';
import { onlyGenes, staticNetwork } from './only.js';
import { boundedList } from '../util/bounded.js';
import { nameSchema } from '../util/names.js';

const positive = z.number().int().positive();

/** space.json; `network` is the family's own part. Documented in docs/formats.md. */
export const spaceFileSchema = z.strictObject({
  format: z.literal('ofakit.space/1'),
  name: nameSchema,
  description: z.string(),
  family: z.string(),
  inputChannels: positive.max(1024),
  imageSizes: boundedList(z.array(positive.max(4096)).nonempty(), 200),
  classes: positive.max(1_000_000),
  width: z.number().positive().max(64),
  dropout: z.number().min(0).max(0.99),
  batchNorm: z.strictObject({ epsilon: z.number().positive(), momentum: z.number().min(0).max(1) }),
  network: z.unknown(),
  /** The space holds this network alone, with nothing elastic about it: a subnet that is trained on by itself. */
  only: architectureFileSchema.optional(),
});
export type SpaceFile = z.infer<typeof spaceFileSchema>;

/** `--width`, `--classes`, `--image-sizes`, and what a data set dictates. */
export interface SpaceOverrides {
  readonly width?: number;
  readonly classes?: number;
  readonly imageSizes?: readonly number[];
}

export interface SearchSpace {
  readonly name: string;
  /** With overrides applied: what a run remembers. */
  readonly file: SpaceFile;
  readonly parameters: SpaceParameters;
  /** Image size first, then the family's. */
  readonly genes: readonly Gene[];
  /** Throws RangeError naming value, position and allowed values where `arch` is not in the space. */
  network(arch: Architecture): Network;
  /** Every gene at its largest, or smallest, value. */
  readonly largest: Architecture;
  readonly smallest: Architecture;
}

/** Throws RangeError naming the value, its position and the allowed ones. Values that depth switches off may be anything. */
export function checkArchitecture(genes: readonly Gene[], arch: Architecture, spaceName: string): void {
  const counts = { imageSize: 0, d: 0, ks: 0, e: 0, w: 0 };
  for (const gene of genes) {
    counts[gene.list]++;
    if (gene.list === 'imageSize' || gene.list === 'd') checkGene(gene, arch, spaceName);
  }
  for (const list of ['d', 'ks', 'e', 'w'] as const) {
    const wanted = counts[list];
    const given = arch[list]?.length ?? 0;
    if (given !== wanted && !(list === 'ks' && wanted === 0)) {
      throw new RangeError(
        `Cannot use the architecture in space "${spaceName}": ${list} must have ${wanted} values: it has ${given}`,
      );
    }
  }
  for (const gene of genes) if (isActive(arch, gene)) checkGene(gene, arch, spaceName);
}

function checkGene(gene: Gene, arch: Architecture, spaceName: string): void {
  const value = geneValue(arch, gene);
  if (gene.choices.includes(value)) return;
  const current = Number.isNaN(value) ? 'it is missing' : `current value is ${value}`;
  throw new RangeError(
    `Cannot use the architecture in space "${spaceName}": ${geneLabel(gene)} must be one of ${gene.choices.join(', ')}: ${current}`,
  );
}

/** Every gene at the value that `choose` takes from its choices. */
export function architectureOf(genes: readonly Gene[], choose: (gene: Gene) => number): Architecture {
  const lists: Record<'d' | 'ks' | 'e' | 'w', number[]> = { d: [], ks: [], e: [], w: [] };
  let imageSize = 0;
  for (const gene of genes) {
    const value = choose(gene);
    if (gene.list === 'imageSize') imageSize = value;
    else lists[gene.list][gene.index] = value;
  }
  const { d, ks, e, w } = lists;
  return { imageSize, ks, e, d, ...(w.length > 0 ? { w } : {}) };
}

/** Makes a space from the content of a space.json. Throws UserError naming the key that is wrong; `where` names the file. */
export function createSpace(
  content: unknown,
  overrides: SpaceOverrides = {},
  where = 'the search space',
): SearchSpace {
  const base = validate(content, spaceFileSchema, where);
  const file = validate(
    {
      ...base,
      ...(overrides.width === undefined ? {} : { width: overrides.width }),
      ...(overrides.classes === undefined ? {} : { classes: overrides.classes }),
      ...(overrides.imageSizes === undefined
        ? {}
        : { imageSizes: [...new Set(overrides.imageSizes)].sort((a, b) => a - b) }),
    },
    spaceFileSchema,
    where,
  );
  const family = families.get(file.family);
  if (family === undefined) {
    const { message } = unknownName('family of networks', file.family, [...families.keys()]);
    throw new UserError(`Cannot use ${where} at "family": ${message}`);
  }
  const definition = validate(file.network, family.schema, `${where}, key "network"`);
  const parameters: SpaceParameters = file;
  const allGenes: Gene[] = [
    { list: 'imageSize', index: 0, choices: file.imageSizes, group: 'resolution' },
    ...family.genes(definition),
  ];
  const only = file.only && fromFile(file.only);
  if (only !== undefined) requireOnly(allGenes, only, file.name, where);
  const genes = only === undefined ? allGenes : onlyGenes(allGenes, only);
  const ascending = file.imageSizes.every((size, i) => i === 0 || size > file.imageSizes[i - 1]!);
  if (!ascending) throw new UserError(`Cannot use ${where} at "imageSizes": sizes must ascend`);
  return {
    name: file.name,
    file,
    parameters,
    genes,
    largest: architectureOf(genes, ({ choices }) => choices[choices.length - 1]!),
    smallest: architectureOf(genes, ({ choices }) => choices[0]!),
    network(arch) {
      checkArchitecture(genes, arch, file.name);
      const blocks = family.blocks(definition, parameters, arch);
      const network = { input: blocks[0]!.input, classes: parameters.classes, blocks };
      return only === undefined ? network : staticNetwork(network);
    },
  };
}

function requireOnly(genes: readonly Gene[], only: Architecture, name: string, where: string): void {
  try {
    checkArchitecture(genes, only, name);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UserError(`Cannot use ${where} at "only": ${cause.message}`, { cause });
  }
}

/**
 * The space of one architecture of `space`: its network is that of `extractSubnet`'s tensors. Throws RangeError where
 * `arch` is not in the space.
 */
export function spaceOfOne(
  space: SearchSpace,
  arch: Architecture,
  overrides: Pick<SpaceOverrides, 'classes'> = {},
): SearchSpace {
  checkArchitecture(space.genes, arch, space.name);
  const canonical = architectureOf(onlyGenes(space.genes, arch), ({ choices }) => choices[0]!);
  return createSpace({ ...space.file, only: toFile(canonical) }, overrides);
}
