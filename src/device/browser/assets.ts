/** The files that a browser gets: the page, bundled when ofakit is built, and the runtime's own. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { scriptUrl } from '../../util/scripts.js';
import { runtimeFiles } from './task.js';

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  wasm: 'application/wasm',
};

const PAGE_FILES = ['index.html', 'style.css', 'page.js', 'worker.js', 'icon.svg'];

const RUNTIME_FILES = ['wasm', 'webgpu'].flatMap((provider) => runtimeFiles(provider));

export interface Asset {
  readonly type: string;
  readonly content: Buffer;
  /** Whether its address stands for this content for ever. */
  readonly immutable: boolean;
}

export interface Assets {
  /** Of onnxruntime-web. */
  readonly runtimeVersion: string;
  /** Folder of the runtime's files, as an address on the agent. */
  readonly runtimeUrl: string;
  /** By the path of a request; undefined for what is not served. */
  read(path: string): Promise<Asset> | undefined;
}

/** Where onnxruntime-web is installed. Throws UserError where it is not. */
function runtimeFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
  } catch (cause) {
    throw new UserError(
      'Cannot serve a page that measures: onnxruntime-web must be installed: run "npm install onnxruntime-web" (140 MB)',
      { cause },
    );
  }
}

/** Throws UserError where onnxruntime-web is not installed or the page was not built. */
export function openAssets(): Assets {
  const folder = runtimeFolder();
  const text = readFileSync(join(folder, '..', 'package.json'), 'utf8');
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(text));
  const page = fileURLToPath(scriptUrl(import.meta.url, './page/'));
  const runtimeUrl = `/runtime/${version}/`;
  const files = new Map<string, { path: string; immutable: boolean }>();
  for (const name of PAGE_FILES) files.set(`/${name}`, { path: join(page, name), immutable: false });
  files.set('/', { path: join(page, 'index.html'), immutable: false });
  for (const name of RUNTIME_FILES) {
    files.set(`${runtimeUrl}${name}`, { path: join(folder, name), immutable: true });
  }
  try {
    readFileSync(join(page, 'page.js'));
  } catch (cause) {
    throw new UserError(`Cannot serve a page that measures: ${page} is missing: run "npm run build"`, {
      cause,
    });
  }
  return {
    runtimeVersion: version,
    runtimeUrl,
    read(path) {
      const file = files.get(path);
      if (file === undefined) return undefined;
      const type = TYPES[file.path.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
      return readFile(file.path).then((content) => ({ type, content, immutable: file.immutable }));
    },
  };
}
