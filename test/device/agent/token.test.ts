/** Files with tokens: what is taken for one, and who may read it. */
import { existsSync, mkdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newToken, readOrMakeToken, readToken } from '../../../src/device/agent/token.js';
import { UserError } from '../../../src/util/errors.js';
import { listeningLogger } from '../support/agent.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-token-'));
});
afterEach(() => rm(folder, { recursive: true }));

const modeOf = (path: string): number => statSync(path).mode & 0o777;

describe('a token', () => {
  it.each(['', '\n', '\r\n', '  \n'])('is read from a file that holds one and ends in %j', async (end) => {
    const token = newToken();
    const path = join(folder, 'token');
    for (const start of ['', '\ufeff']) {
      writeFileSync(path, `${start}${token}${end}`, { mode: 0o600 });
      expect(await readToken(path)).toBe(token);
    }
  });

  it('is nothing else that a file may hold, and messages do not repeat it', async () => {
    const token = newToken();
    const path = join(folder, 'token');
    const others = [
      `${token}\n${token}`,
      `export TOKEN=${token}`,
      `${token} # of the phone`,
      token.slice(0, -1),
      `${token}x`,
      token.replace('ofakit_', 'ghp_'),
      '//registry.npmjs.org/:_authToken=npm_0123456789',
      'x'.repeat(5000),
    ];
    for (const content of others) {
      writeFileSync(path, content);
      const reading = readToken(path);
      await expect(reading).rejects.toThrow(
        /must hold one token .* and nothing else: .*nothing of it was sent/,
      );
      await expect(reading).rejects.not.toThrow(content.slice(0, 40));
    }
    writeFileSync(path, '');
    await expect(readToken(path)).rejects.toThrow(/it is empty/);
    writeFileSync(path, `${token.replace('ofakit_', '')}\n`);
    await expect(readToken(path)).rejects.toThrow(
      /what earlier versions made; .* delete the agent's token file and start the agent again/,
    );
    await expect(readToken(folder)).rejects.toThrow(/it is no file/);
    if (existsSync('/dev/zero')) await expect(readToken('/dev/zero')).rejects.toThrow(/it is no file/);
    await expect(readToken(join(folder, 'none'))).rejects.toThrow(/there is no such file/);
  });

  it('is the whole file or an error (property)', async () => {
    const token = newToken();
    const path = join(folder, 'token');
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.string({ maxLength: 4 }), fc.string({ maxLength: 4 }))
        .map(([a, b]) => Buffer.from(a + token + b)),
    );
    await fc.assert(
      fc.asyncProperty(content, async (bytes) => {
        writeFileSync(path, bytes, { mode: 0o600 });
        const read = await readToken(path).catch((error: unknown) => error);
        if (read instanceof Error) expect(read).toBeInstanceOf(UserError);
        else expect(bytes.toString('utf8').trim()).toBe(read);
        expect(bytes.toString('utf8').trim() === token).toBe(read === token);
      }),
      { numRuns: 200 },
    );
  });
});

describe.skipIf(process.platform === 'win32')('a token that is made', () => {
  it('is never readable by others, also while it is made, and so is its new folder', async () => {
    const path = join(folder, 'watched', 'token');
    mkdirSync(join(folder, 'watched'));
    const before = process.umask(0);
    const seen: number[] = [];
    const watcher = watch(join(folder, 'watched'), (_, name) => {
      if (name !== null && existsSync(join(folder, 'watched', name)))
        seen.push(modeOf(join(folder, 'watched', name)));
    });
    try {
      const logger = listeningLogger();
      const token = await readOrMakeToken(path, logger);
      expect(token).toMatch(/^ofakit_[\w-]{43}$/);
      expect(modeOf(path)).toBe(0o600);
      await expect.poll(() => seen.length).toBeGreaterThan(0);
      expect(new Set(seen)).toEqual(new Set([0o600]));
      expect(await readdir(join(folder, 'watched'))).toEqual(['token']);
      expect(logger.lines).toEqual([`Made a token in ${path}: copy this file to where you measure from`]);
      await readOrMakeToken(join(folder, 'new', 'deep', 'token'), logger);
      expect([modeOf(join(folder, 'new')), modeOf(join(folder, 'new', 'deep'))]).toEqual([0o700, 0o700]);
    } finally {
      process.umask(before);
      watcher.close();
    }
  });

  it('is one, however many agents start at once', async () => {
    const path = join(folder, 'token');
    const tokens = await Promise.all(
      Array.from({ length: 8 }, () => readOrMakeToken(path, listeningLogger())),
    );
    expect(new Set(tokens)).toEqual(new Set([readFileSync(path, 'utf8').trim()]));
  });

  it('that others may read is told, by agents and by clients', async () => {
    const path = join(folder, 'token');
    writeFileSync(path, newToken(), { mode: 0o644 });
    for (const read of [readToken, readOrMakeToken]) {
      const logger = listeningLogger();
      await read(path, logger);
      expect(logger.lines).toEqual([`Others on this machine may read ${path}: chmod 600 ${path}`]);
    }
  });
});
