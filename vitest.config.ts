import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** What ofakit remembers of its user: not of who runs the tests. */
const settings = mkdtempSync(join(tmpdir(), 'ofakit-settings-'));
process.on('exit', () => rmSync(settings, { recursive: true, force: true }));

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    env: { XDG_CONFIG_HOME: settings },
    testTimeout: 60_000,
    pool: 'forks',
    // Two cores and a runtime with a thread pool of its own: more processes only fight.
    maxWorkers: 2,
  },
});
