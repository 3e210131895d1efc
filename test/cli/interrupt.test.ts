import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { ofa, type Result } from './support/cli.js';
import { fewDigits, makeRun, SPACE_WORDS, writeSchedule } from './support/fixture.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();

/** Sends SIGINT as soon as `ready()`. */
function interruptWhen(ready: () => boolean): (child: ChildProcess) => void {
  return (child) => {
    void (async () => {
      while (child.exitCode === null && !ready()) await sleep(10);
      child.kill('SIGINT');
    })();
  };
}

describe.skipIf(process.platform === 'win32')('Ctrl-C', () => {
  it('stops training after saving; the same command goes on and ends as if it had never stopped', async () => {
    const schedule = writeSchedule(path('schedule.json'), 3, 8);
    const data = fewDigits(path('digits'));
    const train = (run: string): string[] => [
      'train',
      ...SPACE_WORDS,
      '--data',
      data,
      '--schedule',
      schedule,
      '--validate-every',
      '9',
      '--out',
      path(run),
      '--json',
    ];

    const stopped = await ofa(train('run'), {
      onStart: interruptWhen(() => existsSync(path('run', 'supernet.json'))),
    });
    expect(stopped).toMatchObject({ code: 130, killedBy: null, stdout: '' });
    expect(stopped.stderr).toMatch(/\nStopped at step \d+; the same command goes on from there\n$/);

    const { position } = JSON.parse(readFileSync(path('run', 'supernet.json'), 'utf8')) as {
      position: { step: number; totalSteps: number };
    };
    expect(stopped.stderr).toContain(`Stopped at step ${position.step};`);
    expect(position.step).toBeLessThan(position.totalSteps);
    expect(readdirSync(path('run')).filter((name) => name.endsWith('.tmp'))).toEqual([]);

    const [resumed, straight] = [await ofa(train('run')), await ofa(train('other'))];
    expect([resumed.code, straight.code]).toEqual([0, 0]);
    const printed = ({ stdout }: Result): object => ({
      ...(JSON.parse(stdout) as object),
      run: undefined,
      peakMemoryBytes: undefined, // of the process that printed it
    });
    expect(printed(resumed)).toMatchObject({
      weightsSha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(printed(resumed)).toEqual(printed(straight));
    if (position.step > 0) expect(resumed.stderr).toContain(`Going on at step ${position.step} `);

    const again = await ofa(train('run'));
    expect(again.code).toBe(0);
    expect(printed(again)).toEqual(printed(resumed));
  });

  it('ends a command that has nothing to save at once', async () => {
    // Interrupts itself as soon as it listens: much earlier than it can be done.
    const impatient =
      "process.on('newListener', (name) => name === 'SIGINT' && " +
      "setTimeout(() => process.kill(process.pid, 'SIGINT'), 20))";
    await makeRun(path('untrained'), 'mnist');
    const result = await ofa(['eval', '--supernet', path('untrained'), '--arch', 'largest'], {
      nodeOptions: ['--import', `data:text/javascript,${encodeURIComponent(impatient)}`],
    });
    expect(result).toMatchObject({ code: 130, killedBy: null, stdout: '', stderr: '\nInterrupted\n' });
  });
});
