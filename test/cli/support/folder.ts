/** A folder of a test file's own, gone afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Paths inside the folder, which is removed when the file's tests are over. */
export function temporaryFolder(): (...parts: string[]) => string {
  const root = mkdtempSync(join(tmpdir(), 'ofakit-cli-'));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  return (...parts) => join(root, ...parts);
}
