/**
 * All subnets of a part of a space as one program (docs/decisions/0013-choices-inside-a-program.md): nothing is compiled for
 * a subnet that was never seen, nothing is computed twice, and nothing crosses to JavaScript between blocks.
 */
import { createHash } from 'node:crypto';
import type { Choice, ChoicePosition } from '../graph/choices.js';
import { backwardGraph, forwardGraph, type Mode } from '../graph/network.js';
import type { Gene } from '../space/gene.js';
import { blockSignature, type BlockSpec, type Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import { blockVariants, type BlockVariants } from '../space/variants.js';

/** The blocks of the subnets that `genes` describe, at one image size. */
export class SubnetChoices {
  private readonly indices: readonly ReadonlyMap<string, number>[];
  /** Equal for equal sets of subnets. */
  readonly key: string;

  private constructor(
    readonly positions: readonly BlockVariants[],
    /** What a step takes at the most, kept for the next one; 0: nothing is kept. */
    readonly stepBytes: number,
  ) {
    const signatures = positions.map(({ variants }) => variants.map(blockSignature));
    this.indices = signatures.map((list) => new Map(list.map((signature, i) => [signature, i])));
    const content = positions.map(({ name, optional }, i) => [name, optional, signatures[i]]);
    this.key = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  }

  /**
   * `genes`: those of `space`, perhaps limited. `stepBytes`: what a step takes at the most, where that may be kept for the next
   * one: fresh memory at every step costs its page faults.
   */
  static of(space: SearchSpace, genes: readonly Gene[], imageSize: number, stepBytes = 0): SubnetChoices {
    return new SubnetChoices(blockVariants(space, genes, imageSize), stepBytes);
  }

  /** How many blocks the program holds. */
  get size(): number {
    return this.positions.reduce((sum, { variants }) => sum + variants.length, 0);
  }

  /** The network's block at each position, with its index. Throws RangeError for a network that is not among the subnets. */
  find(network: Network): { readonly block: BlockSpec | undefined; readonly choice: Choice }[] {
    const blocks = new Map(network.blocks.map((block) => [block.name, block]));
    const found = this.positions.map(({ name, optional }, i) => {
      const block = blocks.get(name);
      blocks.delete(name);
      const choice = block && this.indices[i]!.get(blockSignature(block));
      if (choice === undefined && !(optional && block === undefined)) {
        throw new RangeError(`Cannot choose block "${name}": it must be one of the program: it is not`);
      }
      return { block, choice };
    });
    if (blocks.size === 0) return found;
    throw new RangeError(
      `Cannot choose blocks: the program must have positions for "${[...blocks.keys()].join('", "')}": it has not`,
    );
  }

  /** The chain of a whole training step. */
  step(batch: number): ChoicePosition[] {
    const last = this.positions.length - 1;
    return this.chain((block, i) =>
      backwardGraph([block], batch, { loss: i === last, inputGradient: i > 0, results: true }),
    );
  }

  /** The chain of a forward pass. */
  forward(batch: number, mode: Mode): ChoicePosition[] {
    return this.chain((block) => forwardGraph([block], batch, mode));
  }

  private chain(
    graph: (block: BlockSpec, position: number) => ChoicePosition['variants'][number],
  ): ChoicePosition[] {
    return this.positions.map(({ name, variants, optional }, i) => ({
      name,
      variants: variants.map((block) => graph(block, i)),
      optional,
    }));
  }
}
