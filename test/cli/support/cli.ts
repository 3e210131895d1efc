/** Runs the built command as its users do: a process of its own, exit code, stdout, stderr. */
import { spawn, type ChildProcess } from 'node:child_process';
import { packagePath } from '../../../src/util/scripts.js';

const SCRIPT = packagePath('bin/ofa.js');

export interface Result {
  readonly code: number | null;
  /** The signal that ended the process, if one did. */
  readonly killedBy: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Options of Node.js itself. */
  readonly nodeOptions?: readonly string[];
  /** Words before the command: a shell that limits it. */
  readonly prefix?: readonly string[];
  /** Called with the started process and the text it has written to stderr so far. */
  readonly onStart?: (child: ChildProcess) => void;
  readonly onStderr?: (child: ChildProcess, text: string) => void;
}

export function ofa(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { cwd, nodeOptions = [], prefix = [], onStart, onStderr } = options;
  const words = [...prefix, process.execPath, ...nodeOptions, SCRIPT, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn(words[0]!, words.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      onStderr?.(child, stderr);
    });
    child.on('error', reject);
    child.on('close', (code, killedBy) => resolve({ code, killedBy, stdout, stderr }));
    onStart?.(child);
  });
}

/** Whether a text is the one line of a message: no stack, nothing below it. */
export function isOneLine(text: string): boolean {
  return /^[^\n]+\n$/.test(text) && !/\bat .*:\d+:\d+/.test(text);
}
