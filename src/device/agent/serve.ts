/** An agent from files: token, certificate, folder. What `ofa agent` does. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { readBytes } from '../../util/files.js';
import { startAgent, type AgentOptions, type RunningAgent } from './server.js';
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

/** Throws UserError where a file cannot be used, and as `startAgent`. */
export async function serveAgent(options: ServeOptions): Promise<RunningAgent & { readonly folder: string }> {
  const { tokenFile, certFile, keyFile, folder = cacheFolder(options.port), ...rest } = options;
  const token = await readOrMakeToken(tokenFile, options.logger);
  const pem = async (path: string): Promise<string> => (await readBytes(fromHome(path))).toString('utf8');
  const tls =
    certFile === undefined || keyFile === undefined
      ? undefined
      : { cert: await pem(certFile), key: await pem(keyFile) };
  if (tls === undefined && !LOOPBACK.test(options.host)) {
    options.logger.warn(
      `Without --cert and --key the token and the models travel in the open over ${options.host}: for networks that you trust`,
    );
  }
  const agent = await startAgent({ ...rest, token, folder, ...(tls === undefined ? {} : { tls }) });
  return { ...agent, folder };
}
