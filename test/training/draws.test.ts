import { describe, expect, it } from 'vitest';
import { listOf } from './support/genes.js';
import { drawImageSize, drawSubnets } from '../../src/training/step.js';
import { loadSchedule, type Phase } from '../../src/training/schedule.js';
import { shippedSpace } from '../support/spaces.js';

const space = shippedSpace('ofa-mbv3');
const progressive = await loadSchedule('progressive');
const sandwich = await loadSchedule('sandwich');
const phaseNamed = (name: string): Phase => progressive.phases.find((phase) => phase.name === name)!;

/** Values of a list that 400 steps of a phase use, ascending. */
function seen(phase: Phase, list: 'imageSize' | 'ks' | 'e' | 'd'): number[] {
  const values = new Set<number>();
  for (let step = 0; step < 400; step++) {
    for (const arch of drawSubnets(space, phase, 1, step, drawImageSize(space, phase, 1, step))) {
      for (const value of listOf(arch, list)) values.add(value);
    }
  }
  return [...values].sort((a, b) => a - b);
}

const SIZES = space.genes[0]!.choices;

describe('the phases of progressive shrinking draw from', () => {
  it.each([
    ['largest', { imageSize: SIZES.slice(-1), ks: [7], e: [6], d: [4] }],
    ['kernel', { imageSize: SIZES, ks: [3, 5, 7], e: [6], d: [4] }],
    ['depth 1', { imageSize: SIZES, ks: [3, 5, 7], e: [6], d: [3, 4] }],
    ['depth 2', { imageSize: SIZES, ks: [3, 5, 7], e: [6], d: [2, 3, 4] }],
    ['width 1', { imageSize: SIZES, ks: [3, 5, 7], e: [4, 6], d: [2, 3, 4] }],
    ['width 2', { imageSize: SIZES, ks: [3, 5, 7], e: [3, 4, 6], d: [2, 3, 4] }],
  ] as const)('%s', (name, wanted) => {
    const phase = phaseNamed(name);
    for (const list of ['imageSize', 'ks', 'e', 'd'] as const)
      expect(seen(phase, list)).toEqual(wanted[list]);
  });
});

describe('drawSubnets', () => {
  const phase = phaseNamed('width 2');

  it('gives all subnets of a step its image size', () => {
    for (const imageSize of [SIZES[0]!, SIZES[3]!]) {
      const sizes = drawSubnets(space, phase, 1, 0, imageSize).map((arch) => arch.imageSize);
      expect(sizes).toEqual(Array(4).fill(imageSize));
    }
  });

  it('is a function of seed, step and draw alone', () => {
    const draw = (seed: number, step: number) => drawSubnets(space, phase, seed, step, 160);
    const first = draw(3, 17);
    draw(3, 18);
    expect(draw(3, 17)).toEqual(first);
    const longer: Phase = { ...phase, subnets: ['random', 'random', 'random', 'random', 'random'] };
    expect(drawSubnets(space, longer, 3, 17, 160).slice(0, 4)).toEqual(first);
    const distinct = new Set([...first, ...draw(3, 18), ...draw(4, 17)].map((arch) => JSON.stringify(arch)));
    expect(distinct.size).toBe(12);
  });

  it('draws image sizes by seed and step', () => {
    const sizes = (seed: number) =>
      Array.from({ length: 40 }, (_, step) => drawImageSize(space, phase, seed, step));
    expect(sizes(1)).toEqual(sizes(1));
    expect(sizes(1)).not.toEqual(sizes(2));
  });

  it('takes the largest and the smallest where the schedule asks for them', () => {
    const [largest, smallest, ...random] = drawSubnets(space, sandwich.phases[0]!, 1, 0, 128);
    expect(largest).toEqual({ ...space.largest, imageSize: 128 });
    expect(smallest).toEqual({ ...space.smallest, imageSize: 128 });
    expect(random).toHaveLength(2);
    const limited: Phase = { ...sandwich.phases[0]!, choices: { d: 2, ks: 1 } };
    const part = drawSubnets(space, limited, 1, 0, 128)[1]!;
    expect([new Set(part.d), new Set(part.ks), new Set(part.e)]).toEqual([
      new Set([3]),
      new Set([7]),
      new Set([3]),
    ]);
  });
});
