import { describe, expect, it } from 'vitest';
import { evaluateLatency } from '../../src/latency/evaluate.js';
import { steadyMs, usualSpeed, type Timed } from '../../src/latency/steady.js';
import { createRandom } from '../../src/util/random.js';

const random = createRandom('clock');
const truth = Array.from({ length: 200 }, () => 1 + 20 * random.float());

describe('latencies at the usual speed', () => {
  // A fifth slower for a third of the time.
  const clockOf = (i: number): number => (i % 3 === 0 ? 1.2 : 1);
  const measured = truth.map((ms, i): Timed => ({
    latencyMs: (ms + 0.5) * clockOf(i) - 0.5,
    sentinelMs: 2 * clockOf(i),
    contextMs: 0.5,
  }));

  it('are those of a machine whose clock never moved', () => {
    const usual = usualSpeed(measured);
    expect(usual).toEqual({ sentinelMs: 2, disturbance: undefined });
    const steady = measured.map((one) => steadyMs(one, usual));
    steady.forEach((ms, i) => expect(ms).toBeCloseTo(truth[i]!, 9));
    const raw = measured.map(({ latencyMs }) => latencyMs);
    expect(evaluateLatency(raw, truth).within10Percent).toBeLessThan(70);
  });

  it('are those of a machine that is disturbed as much as it usually is, and keeps its clock', () => {
    const disturbed = measured.map((one, i): Timed => {
      // Others take their part of the core, sometimes more and sometimes less; the median is a tenth.
      const part = 1 + 0.2 * ((i % 11) / 10);
      const full = (one.latencyMs + 0.5) * part;
      return {
        latencyMs: full - 0.6,
        contextMs: 0.6,
        sentinelMs: one.sentinelMs! * (1 + 0.2 * ((i % 7) / 6)),
        quietMs: one.latencyMs,
        contextQuietMs: 0.5,
        quietSentinelMs: one.sentinelMs,
      };
    });
    const usual = usualSpeed(disturbed);
    expect(usual!.sentinelMs).toBe(2);
    expect(usual!.disturbance).toBeCloseTo(1.1, 6);
    disturbed.forEach((one, i) => expect(steadyMs(one, usual)).toBeCloseTo(1.1 * truth[i]!, 6));
    // By medians and the sentinel's medians many are off by more.
    const medians = disturbed.map(({ quietMs: _quiet, ...one }): Timed => one);
    const old = medians.map((one) => steadyMs(one, usualSpeed(medians)) / 1.1);
    expect(evaluateLatency(old, truth).within5Percent).toBeLessThan(70);
  });

  it('are not quiet ones for some and medians for others', () => {
    const [first, ...others] = measured;
    const usual = usualSpeed([{ ...first!, quietMs: 1, quietSentinelMs: 1 }, ...others]);
    expect(usual).toEqual({ sentinelMs: 2, disturbance: undefined });
    expect(steadyMs({ latencyMs: 3, sentinelMs: 4, quietMs: 1, quietSentinelMs: 2 }, usual)).toBe(1.5);
  });

  it('are as measured where nobody knows the speed', () => {
    const usual = { sentinelMs: 2, disturbance: undefined };
    expect(usualSpeed([{ latencyMs: 3 }, { latencyMs: 4, sentinelMs: 0 }])).toBeUndefined();
    expect(steadyMs({ latencyMs: 3, sentinelMs: 2 }, undefined)).toBe(3);
    expect(steadyMs({ latencyMs: 3 }, usual)).toBe(3);
    expect(steadyMs({ latencyMs: 3, sentinelMs: 0 }, usual)).toBe(3);
  });

  it('stay above 0', () => {
    const measuredMs = { latencyMs: 0.001, sentinelMs: 4, contextMs: 1 };
    expect(steadyMs(measuredMs, { sentinelMs: 2, disturbance: undefined })).toBeGreaterThan(0);
    const quiet = { ...measuredMs, quietMs: 0.001, contextQuietMs: 1, quietSentinelMs: 4 };
    expect(steadyMs(quiet, { sentinelMs: 2, disturbance: 1 })).toBeGreaterThan(0);
  });
});
