import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenedRun } from '../../src/pipeline/withRun.js';
import { withRun } from '../../src/pipeline/withRun.js';
import { UserError } from '../../src/util/errors.js';
import { fewDigits, makeRun, space } from '../cli/support/fixture.js';
import { temporaryFolder } from '../cli/support/folder.js';

const path = temporaryFolder();
beforeAll(async () => {
  await makeRun(path('run'), fewDigits(path('digits')));
});

/** Whether the loader gives images. */
const gives = async ({ loader }: OpenedRun): Promise<boolean> => {
  for await (const { labels } of loader.evaluationBatches('test', 16, 4)) return labels.length > 0;
  return false;
};

describe('withRun', () => {
  it('opens a run with its data, hands on what the work gives, and closes', async () => {
    let opened: OpenedRun | undefined;
    const top1 = await withRun(path('run'), { threads: 1, calibrationImages: 8 }, async (run) => {
      opened = run;
      expect(await gives(run)).toBe(true);
      expect(run.evaluator.settings.calibrationImages).toBe(8);
      return (await run.evaluator.evaluate(space.smallest, 'test')).top1;
    });
    expect(top1).toBeGreaterThanOrEqual(0);
    await expect(gives(opened!)).rejects.toThrow(/closed/);
  });

  it('closes also where the work fails', async () => {
    let opened: OpenedRun | undefined;
    const failure = new UserError('Cannot work: no');
    const work = withRun(path('run'), { threads: 1 }, (run) => {
      opened = run;
      return Promise.reject(failure);
    });
    await expect(work).rejects.toBe(failure);
    await expect(gives(opened!)).rejects.toThrow(/closed/);
  });

  it('refuses what is not there before any work', async () => {
    const work = (): Promise<never> => Promise.reject(new Error('nothing to work on'));
    await expect(withRun(path('none'), {}, work)).rejects.toThrow(/there is no supernet in it/);
    await expect(withRun(path('run'), { data: 'mnist:/no/such' }, work)).rejects.toThrow(/no folder/);
  });
});
