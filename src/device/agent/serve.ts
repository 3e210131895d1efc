/** An agent from files: token, certificate, folder. What `ofa agent` does. */
import { homedir, hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { readText } from '../../util/files.js';
import { lockFolder } from '../../util/lock.js';
import { startAgent, type AgentOptions, type RunningAgent } from './server.js';
import { claimToken, originOf } from '../tokenOrigins.js';
import { fromHome, readOrMakeToken } from './token.js';

export interface ServeOptions extends Omit<AgentOptions, 'token' | 'tls' | 'folder'> {
  /** Made where it is not there. */
  readonly tokenFile: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Default: `agent-PORT` in the user's cache. */
  readonly folder?: string;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

function cacheFolder(port: number): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return join(cache, 'ofakit', `agent-${port}`);
}

/** Addresses at which an agent is reached from its own machine. */
function originsOf(agentUrl: string): string[] {
  const url = new URL(agentUrl);
  if (url.hostname !== '0.0.0.0' && url.hostname !== '[::]') return [originOf(url)];
  const own = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address);
  return ['localhost', hostname(), ...own].map((host) => {
    const address = new URL(url);
    address.hostname = host;
    return address.origin;
  });
}

/** Throws UserError where a file cannot be used or another agent has the folder, and as `startAgent`. */
export async function serveAgent(options: ServeOptions): Promise<RunningAgent & { readonly folder: string }> {
  const { folder = cacheFolder(options.port) } = options;
  const purpose = { action: 'serve from', instead: 'give another --folder' };
  const release = await lockFolder(folder, purpose, 0o700);
  try {
    const agent = await serveFrom(folder, options);
    const close = (): Promise<void> => agent.close().finally(release);
    return { ...agent, close, folder };
  } catch (error) {
    await release();
    throw error;
  }
}

/** With the folder's lock. */
async function serveFrom(folder: string, options: ServeOptions): Promise<RunningAgent> {
  const { tokenFile, certFile, keyFile, ...rest } = options;
  const token = await readOrMakeToken(tokenFile, options.logger);
  const pem = (path: string): Promise<string> => readText(fromHome(path));
  const tls =
    certFile === undefined || keyFile === undefined
      ? undefined
      : { cert: await pem(certFile), key: await pem(keyFile) };
  if (tls === undefined && !LOOPBACK.test(options.host)) {
    options.logger.warn(
      `Without --cert and --key the token and the models travel in the open over ${options.host}: for networks that you trust`,
    );
  }
  let origins: readonly string[] = [];
  const onFirstUse = (): void => {
    // The token of a file here is this agent's: no profile that names the file gets it sent elsewhere.
    claimToken(token, origins).catch((error: unknown) => options.logger.warn((error as Error).message));
  };
  const agent = await startAgent({
    ...rest,
    token,
    folder,
    onFirstUse,
    ...(tls === undefined ? {} : { tls }),
  });
  origins = originsOf(agent.url);
  return agent;
}
