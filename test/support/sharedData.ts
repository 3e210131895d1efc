/** Data that is not part of the repository: tests that need it skip where it is absent. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Path of a file in the data folder beside the checkout (`OFAKIT_TEST_DATA`, else ../shared/data), or undefined. */
export function sharedData(name: string): string | undefined {
  const folder =
    process.env['OFAKIT_TEST_DATA'] ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));
  const path = `${folder}/${name}`;
  return existsSync(path) ? path : undefined;
}
