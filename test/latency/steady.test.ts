import { describe, expect, it } from 'vitest';
import { evaluateLatency } from '../../src/latency/evaluate.js';
import { steadyMs, usualSentinel, type Timed } from '../../src/latency/steady.js';
import { createRandom } from '../../src/util/random.js';

describe('latencies at the usual speed', () => {
  it('are those of a machine whose clock never moved', () => {
    const random = createRandom('clock');
    const truth = Array.from({ length: 200 }, () => 1 + 20 * random.float());
    // A fifth slower for a third of the time.
    const measured = truth.map((ms, i): Timed => {
      const slower = i % 3 === 0 ? 1.2 : 1;
      return { latencyMs: (ms + 0.5) * slower - 0.5, sentinelMs: 2 * slower, contextMs: 0.5 };
    });
    const usual = usualSentinel(measured);
    expect(usual).toBe(2);
    const steady = measured.map((one) => steadyMs(one, usual));
    steady.forEach((ms, i) => expect(ms).toBeCloseTo(truth[i]!, 9));
    const raw = measured.map(({ latencyMs }) => latencyMs);
    expect(evaluateLatency(raw, truth).within10Percent).toBeLessThan(70);
  });

  it('are as measured where nobody knows the speed', () => {
    expect(usualSentinel([{ latencyMs: 3 }, { latencyMs: 4, sentinelMs: 0 }])).toBeUndefined();
    expect(steadyMs({ latencyMs: 3, sentinelMs: 2 }, undefined)).toBe(3);
    expect(steadyMs({ latencyMs: 3 }, 2)).toBe(3);
    expect(steadyMs({ latencyMs: 3, sentinelMs: 0 }, 2)).toBe(3);
  });

  it('stay above 0', () => {
    expect(steadyMs({ latencyMs: 0.001, sentinelMs: 4, contextMs: 1 }, 2)).toBeGreaterThan(0);
  });
});
