import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    pool: 'forks',
    // Two cores and a runtime with a thread pool of its own: more processes only fight.
    maxWorkers: 2,
  },
});
