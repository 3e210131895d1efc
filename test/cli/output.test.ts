import { openSync, closeSync, existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { packagePath } from '../../src/util/scripts.js';
import { isOneLine, ofa } from './support/cli.js';

/** Runs the command with stdout on an open file. */
function ofaInto(fd: number, args: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [packagePath('bin/ofa.js'), ...args], {
      stdio: ['ignore', fd, 'pipe'],
    });
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('close', (code) => resolve({ code, stderr }));
  });
}

describe('output', () => {
  it('says nothing when the reader of the result has gone away', async () => {
    const result = await ofa(['space', 'list'], { onStart: (child) => child.stdout!.destroy() });
    expect(result).toMatchObject({ code: 0, killedBy: null, stderr: '' });
  });

  it('says nothing when the reader of the messages has gone away', async () => {
    const result = await ofa(['space', 'show', 'nonsense'], { onStart: (child) => child.stderr!.destroy() });
    expect(result).toMatchObject({ code: 1, killedBy: null, stdout: '' });
  });

  it.skipIf(!existsSync('/dev/full'))(
    'fails in one line where the result does not fit the disk',
    async () => {
      const fd = openSync('/dev/full', 'w');
      const { code, stderr } = await ofaInto(fd, ['space', 'list', '--json']).finally(() => closeSync(fd));
      expect(code).toBe(1);
      expect(stderr).toMatch(/^Cannot write the result: the disk is full/);
      expect(isOneLine(stderr)).toBe(true);
    },
  );
});
