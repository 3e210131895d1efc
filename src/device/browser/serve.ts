/** An agent whose jobs a browser carries out. What `ofa agent --browser` does. */
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { serveAgent, type ServeOptions } from '../agent/serve.js';
import type { RunningAgent } from '../agent/server.js';
import { readOrMakeToken } from '../agent/token.js';
import { isLoopback } from '../tokenOrigins.js';
import { openAssets } from './assets.js';
import { BrowserExecutor, type BrowserExecutorOptions } from './browserExecutor.js';
import { createRoutes } from './routes.js';

/** Threads that a host may ask for: the browser's processors are not ours. */
const MAX_THREADS = 256;

export interface ServeBrowserOptions extends Omit<ServeOptions, 'executor' | 'routes'> {
  /** For tests. */
  readonly timing?: Pick<BrowserExecutorOptions, 'firstTabMs' | 'silenceMs' | 'graceMs' | 'pausedEveryMs'>;
}

export interface RunningBrowserAgent extends RunningAgent {
  readonly folder: string;
  /** Addresses of the page, token included, the most useful one first. */
  readonly pageUrls: readonly string[];
  /** The first that another device can open; undefined where the agent listens to this machine only, or has no network. */
  readonly phoneUrl: string | undefined;
}

/** Interfaces of virtual machines, containers and tunnels: a phone in the room is in none of these networks. */
const VIRTUAL = /^(docker|br-|veth|virbr|vmnet|vboxnet|vethernet|cni|flannel|tun|tap|utun|wg|tailscale|zt)/i;
/** Given by a machine to itself where nobody gave it one. */
const LINK_LOCAL = /^169\.254\./;

/** Addresses at which others find this machine, those first that a phone is likeliest to reach. */
export function lanAddresses(
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces(),
): string[] {
  const rank = (name: string, address: string): number =>
    LINK_LOCAL.test(address) ? 2 : VIRTUAL.test(name) ? 1 : 0;
  return Object.entries(interfaces)
    .flatMap(([name, entries = []]) =>
      entries
        .filter(({ internal, family }) => !internal && family === 'IPv4')
        .map(({ address }) => ({ address, rank: rank(name, address) })),
    )
    .sort((a, b) => a.rank - b.rank)
    .map(({ address }) => address);
}

/** Where a page can be opened. The token is behind `#`, which browsers keep to themselves. */
export function pageAddresses(agentUrl: string, token: string, addresses: readonly string[]): string[] {
  const { protocol, hostname, port } = new URL(agentUrl);
  const everywhere = hostname === '0.0.0.0' || hostname === '[::]';
  const loopback = hostname === '127.0.0.1' || hostname === '[::1]';
  const hosts = everywhere ? [...addresses, 'localhost'] : [loopback ? 'localhost' : hostname];
  return hosts.map(
    (host) => `${protocol}//${host}${port === '' ? '' : `:${port}`}/#${encodeURIComponent(token)}`,
  );
}

/** Throws UserError where onnxruntime-web is not installed, and as `serveAgent`. */
export async function serveBrowserAgent(options: ServeBrowserOptions): Promise<RunningBrowserAgent> {
  const { timing, ...rest } = options;
  const assets = openAssets();
  const token = await readOrMakeToken(options.tokenFile, options.logger);
  let pageUrls: readonly string[] = [];
  const executor = new BrowserExecutor({
    runtime: { version: assets.runtimeVersion, url: assets.runtimeUrl },
    // Without the token: it ends up in messages.
    pageUrl: () => (pageUrls[0] ?? '').split('#')[0] ?? '',
    onDevice: (description) => options.logger.info(description),
    ...timing,
  });
  const agent = await serveAgent({
    ...rest,
    executor,
    routes: createRoutes(executor, assets, token),
    limits: { maxThreads: MAX_THREADS, ...rest.limits },
  });
  pageUrls = pageAddresses(agent.url, token, lanAddresses());
  const phoneUrl = pageUrls.find((url) => !isLoopback(new URL(url).hostname));
  return { ...agent, pageUrls, phoneUrl };
}
