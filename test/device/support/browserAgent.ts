/** Agents with a page for tests, and Chromium as the device. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { newToken } from '../../../src/device/agent/token.js';
import {
  serveBrowserAgent,
  type RunningBrowserAgent,
  type ServeBrowserOptions,
} from '../../../src/device/browser/serve.js';
import type { DeviceProfile } from '../../../src/device/profile.js';
import { startChromium, type TestBrowser } from '../../support/chromium.js';
import { listeningLogger, remoteProfile } from './agent.js';

export interface TestBrowserAgent extends RunningBrowserAgent {
  readonly token: string;
  readonly tokenFile: string;
  readonly lines: readonly string[];
  /** Ends it and deletes its folder. */
  remove(): Promise<void>;
}

/** An agent on any free port, and a profile that measures through it: WebAssembly, one thread. */
export async function startTestBrowserAgent(
  timing: ServeBrowserOptions['timing'] = {},
): Promise<{ agent: TestBrowserAgent; profile: DeviceProfile }> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-browser-'));
  const tokenFile = join(folder, 'token');
  const token = newToken();
  await writeFile(tokenFile, token, { mode: 0o600 });
  const logger = listeningLogger();
  const running = await serveBrowserAgent({
    host: '127.0.0.1',
    port: 0,
    tokenFile,
    folder: join(folder, 'agent'),
    logger,
    timing,
  });
  const agent: TestBrowserAgent = {
    ...running,
    token,
    tokenFile,
    lines: logger.lines,
    async remove() {
      await running.close();
      await rm(folder, { recursive: true });
    },
  };
  return {
    agent,
    profile: { ...remoteProfile(agent), name: 'browser-test', provider: { name: 'wasm', options: {} } },
  };
}

export interface TestPage extends TestBrowser {
  readonly page: Page;
  /** What went wrong in the page. */
  readonly errors: readonly string[];
}

/** Opens the agent's page in a browser of its own; resolves when the agent knows, or refuses its token. */
export async function openPage(
  agent: Pick<RunningBrowserAgent, 'pageUrls'>,
  flags: readonly string[],
): Promise<TestPage> {
  const browser = await startChromium(flags);
  const page = browser.context.pages()[0] ?? (await browser.context.newPage());
  const errors: string[] = [];
  page.on('pageerror', ({ message }) => void errors.push(message));
  await page.goto(agent.pageUrls[0]!);
  await page.waitForSelector('#link:not([data-state="connecting"])');
  return { ...browser, page, errors };
}
