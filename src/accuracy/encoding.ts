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
import type { VectorDecoder } from './predictor.js';

export interface Encoder {
  readonly name: string;
  /** What each number means, e.g. `ks[3]=5`; its length is that of a vector. */
  readonly labels: readonly string[];
  /** Float32 [labels.length]. Throws RangeError for an architecture that is not in the space. */
  encode(arch: Architecture): Float32Array;
  encodeInto?(arch: Architecture, rows: Float32Array, offset: number): void;
}

export interface Encoding {
  readonly name: string;
  readonly description: string;
  create(space: SearchSpace): Encoder;
}

/** Position of the gene's value among its choices. Throws RangeError if it is not one of them. */
function choiceIndex(gene: Gene, arch: Architecture): number {
  const value = geneValue(arch, gene);
  const index = gene.choices.indexOf(value);
  if (index < 0) {
    throw new RangeError(
      `Cannot encode the architecture: ${geneLabel(gene)} must be one of ${gene.choices.join(', ')}: current value is ${value}`,
    );
  }
  return index;
}

/** A gene that always has the same value and is always there says nothing. */
function tells({ choices, needs }: Gene): boolean {
  return choices.length > 1 || needs !== undefined;
}

/**
 * OFA's (`ofa/nas/accuracy_predictor/arch_encoder.py:13-104`): one place for every choice of every gene, all zeros
 * where depth switches the gene off. Beyond the reference, depth has places of its own, and the image sizes are those of
 * the space. Its vectors, or scores in their place, can be decoded.
 */
export function oneHotEncoder(space: Pick<SearchSpace, 'genes'>): Encoder & VectorDecoder<Architecture> {
  const genes = space.genes.filter(tells);
  const labels = genes.flatMap((gene) => gene.choices.map((choice) => `${geneLabel(gene)}=${choice}`));
  const starts = new Map<string, number>();
  let places = 0;
  for (const gene of genes) {
    starts.set(geneLabel(gene), places);
    places += gene.choices.length;
  }
  const encodeInto = (arch: Architecture, rows: Float32Array, offset: number): void => {
    let start = offset;
    for (const gene of genes) {
      if (isActive(arch, gene)) rows[start + choiceIndex(gene, arch)] = 1;
      start += gene.choices.length;
    }
  };
  return {
    name: 'one-hot',
    labels,
    encodeInto,
    encode(arch) {
      const vector = new Float32Array(labels.length);
      encodeInto(arch, vector, 0);
      return vector;
    },
    decode(scores) {
      const best = (gene: Gene): number => {
        const start = starts.get(geneLabel(gene));
        if (start === undefined) return gene.choices[0]!;
        let highest = 0;
        for (let i = 1; i < gene.choices.length; i++) {
          if (scores[start + i]! > scores[start + highest]!) highest = i;
        }
        return gene.choices[highest]!;
      };
      return canonical(space.genes, architectureOf(space.genes, best));
    },
  };
}

const oneHot: Encoding = {
  name: 'one-hot',
  description: "a place for every choice of every gene, as OFA's predictor has it",
  create: oneHotEncoder,
};

/** One number a gene: its rank among its choices, from 1/n for the smallest to 1; 0 where depth switches it off. */
const ordinal: Encoding = {
  name: 'ordinal',
  description: 'the rank of every gene among its choices in (0, 1], 0 where it is switched off',
  create(space) {
    const genes = space.genes.filter(tells);
    return {
      name: this.name,
      labels: genes.map(geneLabel),
      encode: (arch) =>
        Float32Array.from(genes, (gene) =>
          isActive(arch, gene) ? (choiceIndex(gene, arch) + 1) / gene.choices.length : 0,
        ),
    };
  },
};

/**
 * A dozen figures of the network: natural logarithms of MACs and parameters, image size, and for every stage its depth
 * and the means of its active kernel sizes and expand ratios. Not scaled: predictors standardise.
 */
const features: Encoding = {
  name: 'features',
  description: 'MACs, parameters, image size; depth, mean kernel and mean expand ratio of every stage',
  create(space) {
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
    const labels = [
      'log MACs',
      'log params',
      'image_size',
      ...depths.map(geneLabel),
      ...means.map(({ label }) => label),
      ...single.map(geneLabel),
    ];
    return {
      name: this.name,
      labels,
      encode(arch) {
        const { macs, params } = networkCosts(space.network(arch));
        return Float32Array.from([
          Math.log(macs),
          Math.log(params),
          arch.imageSize,
          ...depths.map((gene) => geneValue(arch, gene)),
          ...means.map(({ genes }) => activeMean(arch, genes)),
          ...single.map((gene) => geneValue(arch, gene)),
        ]);
      },
    };
  },
};

/** 0 where none is active. */
function activeMean(arch: Architecture, genes: readonly Gene[]): number {
  const values = genes.filter((gene) => isActive(arch, gene)).map((gene) => geneValue(arch, gene));
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}

/** All encodings: add a definition and a place here. */
export const encodings: ReadonlyMap<string, Encoding> = new Map(
  [oneHot, ordinal, features].map((encoding) => [encoding.name, encoding]),
);

/** Throws UserError for an unknown name, listing the known ones. */
export function createEncoder(name: string, space: SearchSpace): Encoder {
  const encoding = encodings.get(name);
  if (encoding === undefined) throw unknownName('encoding', name, [...encodings.keys()]);
  return encoding.create(space);
}
