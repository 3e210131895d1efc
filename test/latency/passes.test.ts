import { expect, it } from 'vitest';
import { agreement } from '../../src/latency/passes.js';
import { createRandom } from '../../src/util/random.js';

it('knows the noise of a measurement beside whole passes that were slower or faster', () => {
  const random = createRandom('passes');
  const slowness = [1, 1.3, 0.8];
  const networks = Array.from({ length: 400 }, () => 1 + 9 * random.float());
  const measured = (noise: number): number[][] =>
    networks.map((ms) => slowness.map((slow) => slow * ms * Math.exp(noise * random.normal())));

  const noisy = agreement(measured(0.03));
  expect(noisy).toMatchObject({ networks: 400, passes: 3 });
  // 800 degrees of freedom: a standard error of 2.5 %.
  expect(Math.abs(noisy.deviationPercent / 3 - 1)).toBeLessThan(0.1);
  expect(noisy.meanDeviationPercent).toBeCloseTo(noisy.deviationPercent / Math.sqrt(3), 9);
  expect(noisy.kendallTau).toBeLessThan(0.99);

  const exact = agreement(measured(0));
  expect(exact.deviationPercent).toBeCloseTo(0, 9);
  expect(exact.kendallTau).toBe(1);
});
