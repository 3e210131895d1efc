import { describe, expect, it } from 'vitest';
import { expectedImprovement, normalDistribution, thompsonSample } from '../../src/search/acquisition.js';
import { gainedVolumes } from '../../src/search/hypervolumeGain.js';
import { hypervolume, type Gains } from '../../src/search/pareto.js';
import { createRandom } from '../../src/util/random.js';

/** By the trapezoidal rule. */
function integrate(f: (x: number) => number, low: number, high: number, steps = 20_000): number {
  const width = (high - low) / steps;
  let sum = 0.5 * (f(low) + f(high));
  for (let i = 1; i < steps; i++) sum += f(low + i * width);
  return sum * width;
}

const density = (z: number): number => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);

describe('normalDistribution', () => {
  it('is the integral of the density', () => {
    for (const z of [-4, -1.3, -0.2, 0, 0.7, 2.5])
      expect(normalDistribution(z)).toBeCloseTo(integrate(density, -12, z), 6);
  });
});

describe('expectedImprovement', () => {
  it('is the mean of what a normal value is above the best', () => {
    for (const [mean, deviation, best] of [
      [0.2, 1, 0],
      [-1, 0.5, 0.4],
      [3, 2, 2.5],
    ] as const) {
      const wanted = integrate((z) => Math.max(0, mean + deviation * z - best) * density(z), -10, 10);
      expect(expectedImprovement({ mean, deviation }, best)).toBeCloseTo(wanted, 5);
    }
  });

  it('is the gain where there is no doubt', () => {
    expect(expectedImprovement({ mean: 2, deviation: 0 }, 1.5)).toBe(0.5);
    expect(expectedImprovement({ mean: 1, deviation: 0 }, 1.5)).toBe(0);
  });
});

describe('thompsonSample', () => {
  it('has the mean and deviation of the belief', () => {
    const chance = createRandom(3);
    const samples = Array.from({ length: 20_000 }, () => thompsonSample({ mean: 5, deviation: 2 }, chance));
    const mean = samples.reduce((a, b) => a + b) / samples.length;
    const variance = samples.reduce((sum, v) => sum + (v - mean) ** 2, 0) / samples.length;
    expect(mean).toBeCloseTo(5, 1);
    expect(Math.sqrt(variance)).toBeCloseTo(2, 1);
  });
});

describe('gainedVolumes', () => {
  it('chooses first what adds most volume, then what adds most beside it', () => {
    const random = createRandom(4);
    const draw = (): number[] => [random.float(), random.float()];
    for (let round = 0; round < 20; round++) {
      // The corners fix the scale, so that volumes can be compared as they are.
      const known: Gains[] = [[0, 1], [1, 0], ...Array.from({ length: 5 }, draw)];
      const candidates = Array.from({ length: 15 }, draw);
      const reference = [-0.1, -0.1];
      const chosen = gainedVolumes(candidates, known, 4);
      expect(new Set(chosen).size).toBe(4);
      const front = [...known];
      for (const i of chosen) {
        const volumes = candidates.map((candidate) => hypervolume([...front, candidate], reference));
        expect(volumes[i]).toBeCloseTo(Math.max(...volumes), 12);
        front.push(candidates[i]!);
      }
    }
  });

  it('chooses what is closest to the front where nothing adds volume', () => {
    const known = [[1, 1]];
    const candidates = [
      [0.2, 0.1],
      [0.9, 0.8],
      [0.5, 0.5],
    ];
    expect(gainedVolumes(candidates, [...known, [0, 0]], 3)).toEqual([1, 2, 0]);
  });

  it('gives all there are when asked for more, and nothing of nothing', () => {
    expect(gainedVolumes([[1, 2]], [], 5)).toEqual([0]);
    expect(gainedVolumes([], [[1, 2]], 5)).toEqual([]);
  });
});
