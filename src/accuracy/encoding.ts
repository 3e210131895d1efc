/**
 * Architectures as vectors, for predictors. Whatever the encoding, two architectures that build the same network have
 * the same vector: positions that depth switches off leave no trace.
 */
import type { Architecture } from '../space/architecture.js';
import { canonical } from '../space/canonical.js';
import { networkCosts } from '../space/costs.js';
import { geneLabel, geneValue, isActive, type Gene } from '../space/gene.js';
import { architectureOf, type SearchSpace } from '../space/space.js';
import { unknownName } from '../util/errors.js';
import type { VectorDecoder, VectorEncoder } from './predictor.js';

/**
 * Labels say what each number means, e.g. `ks[3]=5`. `encode` gives float32 [labels.length] and throws RangeError for an
 * architecture that is not in the space.
 */
export interface Encoder extends VectorEncoder<Architecture> {
  readonly name: string;
}

export interface Encoding {
  readonly name: string;
  readonly description: string;
  create(space: SearchSpace): Encoder;
}

/** Where a gene's value is, resolved once: encoding thousands of architectures reads it for each. */
interface GenePlaces {
  readonly gene: Gene;
  /** Of its first choice. */
  readonly start: number;
  readonly list: Gene['list'];
  readonly index: number;
  readonly choices: readonly number[];
  /** It is there where `d[stage]` is above `least`. */
  readonly stage: number;
  readonly least: number;
}

/** A gene that always has the same value and is always there says nothing. */
function tells({ choices, needs }: Gene): boolean {
  return choices.length > 1 || needs !== undefined;
}

function placesOf(genes: readonly Gene[], width: (gene: Gene) => number): GenePlaces[] {
  let start = 0;
  return genes.filter(tells).map((gene) => {
    const { list, index, choices, needs } = gene;
    const places = {
      gene,
      start,
      list,
      index,
      choices,
      stage: needs?.stage ?? -1,
      least: needs === undefined ? 0 : needs.position - (needs.base ?? 0),
    };
    start += width(gene);
    return places;
  });
}

/** A property by name, not by key: the compiler then knows where it is. */
function valueOf(arch: Architecture, list: Gene['list'], index: number): number | undefined {
  switch (list) {
    case 'ks':
      return arch.ks[index];
    case 'e':
      return arch.e[index];
    case 'd':
      return arch.d[index];
    case 'w':
      return arch.w?.[index];
    case 'imageSize':
      return arch.imageSize;
  }
}

/** Position of the gene's value among its choices, -1 where depth switches it off. Throws RangeError if it is not one of them. */
function choiceIndex({ gene, list, index, choices, stage, least }: GenePlaces, arch: Architecture): number {
  if (stage >= 0 && arch.d[stage]! <= least) return -1;
  const value = valueOf(arch, list, index);
  for (let i = 0; i < choices.length; i++) if (choices[i] === value) return i;
  throw new RangeError(
    `Cannot encode the architecture: ${geneLabel(gene)} must be one of ${choices.join(', ')}: current value is ${value}`,
  );
}

/** What encodings of choices need of a space. */
export type GeneSpace = Pick<SearchSpace, 'genes'>;

/** `encode` from `encodeInto`. */
function encoderOf(
  name: string,
  labels: readonly string[],
  encodeInto: (arch: Architecture, rows: Float32Array, offset: number) => void,
): Encoder {
  return {
    name,
    labels,
    encodeInto,
    encode(arch) {
      const vector = new Float32Array(labels.length);
      encodeInto(arch, vector, 0);
      return vector;
    },
  };
}

/**
 * OFA's (`ofa/nas/accuracy_predictor/arch_encoder.py:13-104`): one place for every choice of every gene, all zeros
 * where depth switches the gene off. Beyond the reference, depth has places of its own, and the image sizes are those of
 * the space. Its vectors, or scores in their place, can be decoded.
 */
export function oneHotEncoder({ genes }: GeneSpace): Encoder & VectorDecoder<Architecture> {
  const places = placesOf(genes, ({ choices }) => choices.length);
  const starts = new Map(places.map(({ gene, start }) => [gene, start]));
  const labels = places.flatMap(({ gene, choices }) =>
    choices.map((choice) => `${geneLabel(gene)}=${choice}`),
  );
  return {
    ...encoderOf('one-hot', labels, (arch, rows, offset) => {
      for (const gene of places) {
        const choice = choiceIndex(gene, arch);
        if (choice >= 0) rows[offset + gene.start + choice] = 1;
      }
    }),
    decode(scores) {
      const best = (gene: Gene): number => {
        const start = starts.get(gene);
        if (start === undefined) return gene.choices[0]!;
        let highest = 0;
        for (let i = 1; i < gene.choices.length; i++) {
          if (scores[start + i]! > scores[start + highest]!) highest = i;
        }
        return gene.choices[highest]!;
      };
      return canonical(genes, architectureOf(genes, best));
    },
  };
}

const oneHot: Encoding = {
  name: 'one-hot',
  description: "a place for every choice of every gene, as OFA's predictor has it",
  create: oneHotEncoder,
};

/** One number a gene: its rank among its choices, from 1/n for the smallest to 1; 0 where depth switches it off. */
export function ordinalEncoder({ genes }: GeneSpace): Encoder {
  const places = placesOf(genes, () => 1);
  const labels = places.map(({ gene }) => geneLabel(gene));
  return encoderOf('ordinal', labels, (arch, rows, offset) => {
    for (const gene of places)
      rows[offset + gene.start] = (choiceIndex(gene, arch) + 1) / gene.choices.length;
  });
}

const ordinal: Encoding = {
  name: 'ordinal',
  description: 'the rank of every gene among its choices in (0, 1], 0 where it is switched off',
  create: ordinalEncoder,
};

const STAGE_OF_BLOCK = /^stage(\d+)\./;

/**
 * Figures of the network: natural logarithms of MACs and parameters, of the whole and of every stage (of 1 more, as a stage
 * may have none), image size, and for every stage its depth and the means of its active kernel sizes and expand ratios. Not
 * scaled: predictors standardise.
 */
function featureEncoder(space: SearchSpace): Encoder {
  const depths = space.genes.filter(({ list }) => list === 'd');
  const ofStage = (list: 'ks' | 'e', stage: number): Gene[] =>
    space.genes.filter((gene) => gene.list === list && gene.needs?.stage === stage);
  const means = (['ks', 'e'] as const).flatMap((list) =>
    depths.flatMap(({ index }) => {
      const genes = ofStage(list, index);
      return genes.length === 0 ? [] : [{ label: `mean ${list}, stage ${index}`, genes }];
    }),
  );
  const single = space.genes.filter(
    ({ list, needs, choices }) =>
      list !== 'd' && list !== 'imageSize' && needs === undefined && choices.length > 1,
  );
  // The largest network has the blocks of all.
  const stageOf = new Map(
    space.network(space.largest).blocks.flatMap(({ name }): [string, number][] => {
      const stage = STAGE_OF_BLOCK.exec(name)?.[1];
      return stage === undefined ? [] : [[name, Number(stage)]];
    }),
  );
  const stages = 1 + Math.max(-1, ...stageOf.values());
  const stageLabels = Array.from({ length: stages }, (_, stage) => [
    `log MACs, stage ${stage}`,
    `log params, stage ${stage}`,
  ]).flat();
  const labels = [
    'log MACs',
    'log params',
    'image_size',
    ...depths.map(geneLabel),
    ...means.map(({ label }) => label),
    ...single.map(geneLabel),
    ...stageLabels,
  ];
  return encoderOf('features', labels, (arch, rows, offset) => {
    const { macs, params, blocks } = networkCosts(space.network(arch));
    let at = offset;
    rows[at++] = Math.log(macs);
    rows[at++] = Math.log(params);
    rows[at++] = arch.imageSize;
    for (const gene of depths) rows[at++] = geneValue(arch, gene);
    for (const { genes } of means) rows[at++] = activeMean(arch, genes);
    for (const gene of single) rows[at++] = geneValue(arch, gene);
    const sums = new Float64Array(2 * stages);
    for (const block of blocks) {
      const stage = stageOf.get(block.name);
      if (stage === undefined) continue;
      sums[2 * stage]! += block.macs;
      sums[2 * stage + 1]! += block.params;
    }
    for (const sum of sums) rows[at++] = Math.log1p(sum);
  });
}

const features: Encoding = {
  name: 'features',
  description:
    'MACs and parameters of the network and of every stage, image size; depth, mean kernel and mean expand ratio of every stage',
  create: featureEncoder,
};

/** Side by side; labels must differ. */
export function joinEncoders<A>(encoders: readonly VectorEncoder<A>[]): VectorEncoder<A> {
  const encodeInto = (arch: A, rows: Float32Array, offset: number): void => {
    let at = offset;
    for (const encoder of encoders) {
      if (encoder.encodeInto === undefined) rows.set(encoder.encode(arch), at);
      else encoder.encodeInto(arch, rows, at);
      at += encoder.labels.length;
    }
  };
  const labels = encoders.flatMap((encoder) => encoder.labels);
  return {
    labels,
    encodeInto,
    encode(arch) {
      const vector = new Float32Array(labels.length);
      encodeInto(arch, vector, 0);
      return vector;
    },
  };
}

const combined: Encoding = {
  name: 'combined',
  description: 'one-hot and features side by side',
  create: (space) => {
    // Depths are numbers in one and choices in the other, under names that differ.
    const joined = joinEncoders<Architecture>([oneHotEncoder(space), featureEncoder(space)]);
    return { ...joined, name: 'combined' };
  },
};

/** 0 where none is active. */
function activeMean(arch: Architecture, genes: readonly Gene[]): number {
  let sum = 0;
  let count = 0;
  for (const gene of genes) {
    if (!isActive(arch, gene)) continue;
    sum += geneValue(arch, gene);
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

/** All encodings: add a definition and a place here. */
export const encodings: ReadonlyMap<string, Encoding> = new Map(
  [oneHot, ordinal, features, combined].map((encoding) => [encoding.name, encoding]),
);

/** Throws UserError for an unknown name, listing the known ones. */
export function createEncoder(name: string, space: SearchSpace): Encoder {
  const encoding = encodings.get(name);
  if (encoding === undefined) throw unknownName('encoding', name, [...encodings.keys()]);
  return encoding.create(space);
}
