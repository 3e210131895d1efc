/** Finds the compiled file of a worker thread or child process. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * URL of a script beside the caller: `scriptUrl(import.meta.url, './worker.js')`. Node.js starts threads and processes
 * from JavaScript only, so a caller that itself runs from src/ (tests, scripts) gets the file that the build wrote to dist/.
 */
export function scriptUrl(callerUrl: string, relative: string): URL {
  const url = new URL(relative, callerUrl);
  if (!callerUrl.endsWith('.ts')) return url;
  const root = new URL('../../', import.meta.url);
  return new URL(`dist/${url.href.slice(new URL('src/', root).href.length)}`, root);
}

/** A folder or file of the package itself, e.g. `supernets`, whether it runs from src/ or dist/. */
export function packagePath(relative: string): string {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}

/** Version of this package. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as { version: string };
  return version;
}
