/** Headless Chromium for tests, where there is one. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext } from 'playwright-core';

const executablePath = [
  process.env['OFAKIT_CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
].find((path) => path !== undefined && existsSync(path));

export const hasChromium = executablePath !== undefined;

/** What a suite is called: its name, or why it is skipped. */
export const chromiumTitle = (name: string): string =>
  hasChromium ? name : `SKIPPED: no Chromium; set OFAKIT_CHROMIUM or install the package chromium (${name})`;

const QUIET = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A GPU in software, which Chromium brings. */
export const SOFTWARE_WEBGPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
export const NO_GPU = ['--disable-gpu'];

export interface TestBrowser {
  readonly context: BrowserContext;
  /** May be called again. */
  readonly close: () => Promise<void>;
}

export async function startChromium(
  flags: readonly string[],
  options: {
    readonly colorScheme?: 'light' | 'dark';
    readonly viewport?: { width: number; height: number };
  } = {},
): Promise<TestBrowser> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-chromium-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: executablePath!,
    headless: true,
    args: [...QUIET, ...flags],
    ...options,
  });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await context.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, close: () => (closing ??= close()) };
}
