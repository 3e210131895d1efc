/** Agents for tests: on the loopback interface, on any free port, with a folder and a token of their own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAgent, type AgentOptions, type RunningAgent } from '../../../src/device/agent/server.js';
import { newToken } from '../../../src/device/agent/token.js';
import { localExecutor } from '../../../src/device/localProcess.js';
import type { DeviceProfile } from '../../../src/device/profile.js';
import type { Logger } from '../../../src/util/logger.js';

/** Keeps what it is told. */
export function listeningLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (line: string): void => void lines.push(line);
  return {
    lines,
    info: keep,
    warn: keep,
    progress: () => ({ update: () => undefined, stop: () => undefined }),
  };
}

export interface TestAgent extends RunningAgent {
  readonly folder: string;
  readonly token: string;
  readonly tokenFile: string;
  readonly lines: readonly string[];
  /** Ends it and deletes its folder. */
  remove(): Promise<void>;
}

export async function startTestAgent(options: Partial<AgentOptions> = {}): Promise<TestAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-agent-'));
  const tokenFile = join(folder, 'token');
  // A token belongs to one address.
  const token = options.token ?? newToken();
  await writeFile(tokenFile, token, { mode: 0o600 });
  const logger = listeningLogger();
  const agent = await startAgent({
    executor: localExecutor,
    host: '127.0.0.1',
    port: 0,
    token,
    folder,
    logger,
    ...options,
  });
  return {
    ...agent,
    folder,
    token,
    tokenFile,
    lines: logger.lines,
    async remove() {
      await agent.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** One thread of the CPU behind an agent. */
export const remoteProfile = (
  { url, tokenFile }: { readonly url: string; readonly tokenFile: string },
  transport: Readonly<Record<string, unknown>> = {},
): DeviceProfile => ({
  ...localProfile,
  name: 'remote-test',
  transport: { kind: 'remote', url, tokenFile, ...transport },
});

export const localProfile: DeviceProfile = {
  format: 'ofakit.device/1',
  name: 'local-test',
  description: '',
  transport: { kind: 'local-process' },
  provider: { name: 'cpu', options: {} },
  threads: 1,
  batch: 1,
  precision: 'float32',
  optimizationLevel: 'all',
  pin: null,
  spinning: false,
};
