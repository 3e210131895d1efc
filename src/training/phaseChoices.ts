/** Which phases train their random subnets by a program of choices. */
import { limitGenes } from '../space/limits.js';
import { architectureOf, type SearchSpace } from '../space/space.js';
import { SubnetChoices } from '../supernet/choices.js';
import { wholeStepBytes } from './memory.js';
import { phaseLimits, type PhasePlan } from './schedule.js';

/**
 * Steps of a subnet, for each block that the program holds, from which on it is worth its compilation: that takes about
 * 25 ms a block, and a step gains tens of milliseconds.
 */
const STEPS_PER_BLOCK = 4;
/** What ONNX Runtime holds for a block: 470 MB for the 184 blocks of ofa-mbv3 at one image size. */
const BYTES_PER_BLOCK = 4e6;

/**
 * Gives the choices of an image size, or undefined where programs of blocks serve better: for a phase of few steps, or one
 * of so many image sizes that their programs do not fit into half of `programBytes`. Where steps' memory fits, too, it is kept
 * from one to the next. It follows from the plan alone, so that
 * a resumed phase computes the same bits.
 */
export function phaseChoices(
  space: SearchSpace,
  { phase, steps }: PhasePlan,
  batchSize: number,
  programBytes: number,
): (imageSize: number) => SubnetChoices | undefined {
  const genes = limitGenes(space.genes, phaseLimits(phase));
  const sizes = genes[0]!.choices;
  const subnets = phase.subnets.filter((kind) => kind === 'random').length;
  if (subnets === 0) return () => undefined;
  const { size } = SubnetChoices.of(space, genes, sizes[0]!);
  const pays = (steps * subnets) / sizes.length >= STEPS_PER_BLOCK * size;
  const room = programBytes / 2 - sizes.length * size * BYTES_PER_BLOCK;
  if (!pays || room < 0) return () => undefined;
  const stepBytes = new Map(
    sizes.map((imageSize) => {
      const largest = architectureOf(genes, ({ choices }) => choices[choices.length - 1]!);
      return [imageSize, wholeStepBytes(space.network({ ...largest, imageSize }), batchSize)];
    }),
  );
  const kept = [...stepBytes.values()].reduce((sum, bytes) => sum + bytes, 0) <= room;
  const known = new Map<number, SubnetChoices>();
  return (imageSize) => {
    const choices =
      known.get(imageSize) ?? SubnetChoices.of(space, genes, imageSize, kept ? stepBytes.get(imageSize)! : 0);
    known.set(imageSize, choices);
    return choices;
  };
}
