/**
 * Bundles the page of `ofa agent --browser` into dist/, its dependencies inside: browsers do not find packages by name.
 * A step of the build, so that nothing is bundled where ofakit is installed.
 */
import { build } from 'esbuild';
import { copyFile, mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = `${root}src/device/browser`;
const out = `${root}dist/device/browser/page`;

await mkdir(out, { recursive: true });
await build({
  entryPoints: { page: `${source}/page/page.ts`, worker: `${source}/work/worker.ts` },
  outdir: out,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: ['es2022'],
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
});
for (const file of ['index.html', 'style.css', 'icon.svg'])
  await copyFile(`${source}/page/${file}`, `${out}/${file}`);
