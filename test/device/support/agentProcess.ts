/** `ofa agent` as its users run it: a process of its own, which tests can kill. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import { packagePath } from '../../../src/util/scripts.js';

const announcement = z.strictObject({
  url: z.string(),
  port: z.number(),
  tokenFile: z.string(),
  folder: z.string(),
  /** With `--browser`. */
  pages: z.array(z.string()).optional(),
});

export interface AgentProcess extends z.infer<typeof announcement> {
  readonly pid: number;
  /** What it wrote to stderr so far. */
  stderr(): string;
  /** Sends a signal and waits for the end: the exit code, null where the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export async function startAgentProcess(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<AgentProcess> {
  const child = spawn(process.execPath, [packagePath('bin/ofa.js'), 'agent', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const listening = new Promise<z.infer<typeof announcement>>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.endsWith('}\n')) resolve(announcement.parse(JSON.parse(stdout)));
    });
    void exit.then(() => reject(new Error(`The agent ended: ${stderr}`)));
  });
  return {
    ...(await listening),
    pid: child.pid!,
    stderr: () => stderr,
    async end(signal) {
      child.kill(signal);
      return (await exit)[0];
    },
  };
}
