import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WorkDone } from '../../src/device/workDone.js';

describe('WorkDone', () => {
  it('grows from 0 to the number of models, and is not full before all are settled', () => {
    const events = fc.array(fc.tuple(fc.nat(4), fc.boolean()), { maxLength: 200 });
    fc.assert(
      fc.property(events, fc.integer({ min: 1, max: 20 }), (list, minRounds) => {
        const work = new WorkDone(minRounds);
        const open = new Set([0, 1, 2, 3, 4]);
        let last = work.models;
        expect(last).toBe(0);
        for (const [model, settles] of list) {
          if (!open.has(model)) continue;
          if (settles) {
            open.delete(model);
            work.settle(`${model}`);
          } else work.step(`${model}`);
          expect(work.settled).toBe(5 - open.size);
          expect(work.models).toBeGreaterThanOrEqual(Math.max(last, work.settled));
          last = work.models;
          if (open.size > 0) expect(last).toBeLessThan(5);
        }
        for (const model of open) work.settle(`${model}`);
        expect(work.models).toBe(5);
      }),
    );
  });

  it('tells what is left of models that take turns and end together, by what others took', () => {
    const work = new WorkDone(13);
    const jobs = 4;
    const perJob = 24;
    const rounds = 40;
    const shares: { told: number; true: number }[] = [];
    const steps = jobs * perJob * (rounds + 2);
    let taken = 0;
    for (let job = 0; job < jobs; job++) {
      const ids = Array.from({ length: perJob }, (_, i) => `${job} ${i}`);
      for (let step = 0; step < rounds + 2; step++) {
        for (const id of ids) {
          work.step(id);
          shares.push({ told: work.models / (jobs * perJob), true: ++taken / steps });
        }
      }
      for (const id of ids) work.settle(id);
    }
    // While nobody knows how many rounds there will be, the least number counts; then what they were.
    const known = shares.filter((share) => share.true > 1 / jobs);
    expect(Math.max(...known.map((share) => Math.abs(share.told - share.true)))).toBeLessThan(0.02);
    expect(shares[10]!.told).toBeGreaterThan(0);
  });
});
