/**
 * NAS-Bench-Macro's space as genes, so that strategies search it like any other: its 3969 networks are the networks that
 * these genes tell apart. `ks[slot]` is what a slot holds (0, 1, 2 as in the benchmark's strings), `d[stage]` how many slots
 * of a stage after the first hold anything; skipped slots go last, as in `canonicalMacro`.
 */
import type { Architecture } from '../../space/architecture.js';
import type { Gene } from '../../space/gene.js';
import { MACRO_SLOTS, MACRO_STAGES } from './nasBenchMacro.js';

/** Pixels of its images. */
const IMAGE_SIZE = 32;

export const macroGenes: readonly Gene[] = [
  { list: 'imageSize', index: 0, choices: [IMAGE_SIZE], group: 'resolution' },
  ...MACRO_STAGES.map(([start, end], stage): Gene => ({
    list: 'd',
    index: stage,
    choices: Array.from({ length: end - start }, (_, depth) => depth),
    group: `stage${stage}`,
  })),
  ...Array.from({ length: MACRO_SLOTS }, (_, slot): Gene => {
    const stage = MACRO_STAGES.findIndex(([, end]) => slot < end);
    const position = slot - MACRO_STAGES[stage]![0];
    const own = { list: 'ks', index: slot, group: `slot${slot}` } as const;
    return position === 0
      ? { ...own, choices: [0, 1, 2] }
      : { ...own, choices: [1, 2], needs: { stage, position, base: 1 } };
  }),
];

/** Of the benchmark's string; equal for strings that build the same network, but for slots that hold nothing. */
export function macroArchitecture(text: string): Architecture {
  const ks: number[] = [];
  const d = MACRO_STAGES.map(([start, end]) => {
    const [first, ...rest] = text.slice(start, end);
    const held = rest.filter((choice) => choice !== '0').map(Number);
    ks.push(Number(first), ...held, ...rest.slice(held.length).map(() => 1));
    return held.length;
  });
  return { imageSize: IMAGE_SIZE, ks, e: [], d };
}

/** The canonical string of an architecture. */
export function macroText({ ks, d }: Architecture): string {
  return MACRO_STAGES.map(([start, end], stage) =>
    ks
      .slice(start, start + 1 + d[stage]!)
      .join('')
      .padEnd(end - start, '0'),
  ).join('');
}
