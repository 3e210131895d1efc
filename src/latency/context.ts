/** What predictors may ask about a network: its shape in numbers, its blocks in the table, other devices' opinion. */
import type { Architecture } from '../space/architecture.js';
import type { Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import { networkFeatures, type NetworkFeatures } from './features.js';
import { geneFeatures } from './geneFeatures.js';
import type { TransferSource } from './transferSource.js';

/** A network in numbers, computed when asked for and remembered. */
export interface NetworkFacts {
  readonly architecture: Architecture;
  readonly network: Network;
  readonly features: NetworkFeatures;
  /** See `geneFeatures`. */
  readonly genes: readonly number[];
  /** Latency of each block by the table, in order. Throws UserError for a missing one, TypeError where there is no table. */
  readonly blocksMs: readonly number[];
  /** Their sum. */
  readonly tableSumMs: number;
}

export interface PredictorContext {
  readonly space: SearchSpace;
  /** Whether there are blocks to sum. */
  readonly hasTable: boolean;
  /** What is known of other devices; empty where nothing is. */
  readonly sources: readonly TransferSource[];
  /** Throws RangeError for an architecture outside the space. */
  facts(arch: Architecture): NetworkFacts;
}

export interface ContextParts {
  readonly space: SearchSpace;
  /** Latency of a block by its key, in networks of an image size. Throws UserError where it is not known. Absent where there is no table. */
  readonly blockLatencyMs?: (key: string, imageSize: number) => number;
  readonly sources?: readonly TransferSource[];
}

/** Latency of a network's blocks by a table. Throws what `lookup` throws. */
export function lookUpBlocks(
  network: Network,
  lookup: NonNullable<ContextParts['blockLatencyMs']>,
): number[] {
  return network.blocks.map(({ key }) => lookup(key, network.input.height));
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

class Facts implements NetworkFacts {
  readonly network: Network;
  private knownFeatures: NetworkFeatures | undefined;
  private knownGenes: readonly number[] | undefined;
  private knownBlocks: readonly number[] | undefined;

  constructor(
    private readonly parts: ContextParts,
    readonly architecture: Architecture,
  ) {
    this.network = parts.space.network(architecture);
  }

  get features(): NetworkFeatures {
    return (this.knownFeatures ??= networkFeatures(this.network));
  }

  get genes(): readonly number[] {
    return (this.knownGenes ??= geneFeatures(this.parts.space.genes, this.architecture));
  }

  get blocksMs(): readonly number[] {
    const { blockLatencyMs } = this.parts;
    if (blockLatencyMs === undefined) throw new TypeError('Cannot sum a latency table: the context has none');
    return (this.knownBlocks ??= lookUpBlocks(this.network, blockLatencyMs));
  }

  get tableSumMs(): number {
    return sum(this.blocksMs);
  }
}

/** Facts are remembered as long as their architecture's object lives: cross-validation asks again and again. */
export function predictorContext(parts: ContextParts): PredictorContext {
  const known = new WeakMap<Architecture, NetworkFacts>();
  return {
    space: parts.space,
    hasTable: parts.blockLatencyMs !== undefined,
    sources: parts.sources ?? [],
    facts(arch) {
      let facts = known.get(arch);
      if (facts === undefined) known.set(arch, (facts = new Facts(parts, arch)));
      return facts;
    },
  };
}
