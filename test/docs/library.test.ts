/** What README shows of the library works, from the public API alone. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createConsoleLogger } from '../../src/index.js';
import { packagePath } from '../../src/util/scripts.js';

afterEach(() => vi.restoreAllMocks());

describe('a search by a latency table and costs', () => {
  it('is the one of the page', () => {
    const shown = [...readFileSync(packagePath('README.md'), 'utf8').matchAll(/```ts\n([^]*?)```/g)].map(
      ([, code]) => code,
    );
    const tested = readFileSync(packagePath('test/support/tableSearch.ts'), 'utf8');
    expect(shown).toContain(tested.replace('../../src/index.js', 'ofakit'));
  });

  it('finds a network close to the limit', async () => {
    const printed: string[] = [];
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
    await import('../support/tableSearch.js');
    const [, macs, latencyMs] = /^(\d+) MACs in ([\d.]+) ms$/m.exec(printed.join(''))!;
    expect(Number(latencyMs)).toBeLessThanOrEqual(30);
    expect(Number(latencyMs)).toBeGreaterThan(25);
    expect(Number(macs)).toBeGreaterThan(2e8);
  });
});

it('logs to stderr, and nothing to stdout', async () => {
  const written: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const out = vi.spyOn(process.stdout, 'write');
  const logger = await createConsoleLogger();
  logger.info('ready');
  logger.warn('slow');
  const progress = logger.progress('Counting', 3);
  progress.update(3);
  progress.stop();
  const outputs = out.mock.calls.length;
  vi.restoreAllMocks();
  expect(written.slice(0, 2)).toEqual(['ready\n', 'Warning: slow\n']);
  expect(outputs).toBe(0);
});
