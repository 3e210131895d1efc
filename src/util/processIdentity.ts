/** Which process it was: told apart from others on the machine, also from a later one that got the same number. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, uptime } from 'node:os';

export interface ProcessIdentity {
  readonly host: string;
  /** Names the time since the machine was started; null where the system does not say. */
  readonly boot: string | null;
  /** Process numbers mean something within one of these; null where the system has none. */
  readonly pidNamespace: string | null;
  readonly pid: number;
  /** When the process started, in words of the system: another process of the same number has another. Null where unknown. */
  readonly processStart: string | null;
}

const quiet = (read: () => string): string | null => {
  try {
    return read().trim();
  } catch {
    return null;
  }
};

/** Fields of /proc/PID/stat behind the command's name, which may hold anything: state first, start time at 19. */
function linuxStat(pid: number): string[] | null {
  const text = quiet(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function processStart(pid: number): string | null {
  if (process.platform === 'linux') return linuxStat(pid)?.[19] ?? null;
  if (process.platform !== 'darwin') return null;
  const text = quiet(() =>
    execFileSync('ps', ['-o', 'lstart=', '-p', `${pid}`], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  return text === '' ? null : text;
}

let own: ProcessIdentity | undefined;

export const ownIdentity = (): ProcessIdentity => (own ??= readIdentity());

function readIdentity(): ProcessIdentity {
  const linux = process.platform === 'linux';
  return {
    host: hostname(),
    boot: linux ? quiet(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')) : null,
    pidNamespace: linux ? quiet(() => readlinkSync('/proc/self/ns/pid')) : null,
    pid: process.pid,
    processStart: processStart(process.pid),
  };
}

/** Where process numbers of this process mean something: of six hexadecimal digits, for names of files. */
export function machineTag({ host, pidNamespace }: ProcessIdentity): string {
  const text = JSON.stringify([host, pidNamespace]);
  return createHash('sha256').update(text).digest('hex').slice(0, 6);
}

/** Whether a process of this number runs here; one that ended and was not collected by its parent does not. */
export function runsHere(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const state = process.platform === 'linux' ? linuxStat(pid)?.[0] : undefined;
  return state !== 'Z' && state !== 'X';
}

/** When this machine was started, ms since 1970. */
export const bootTimeMs = (): number => Date.now() - 1000 * uptime();

export type Liveness = 'alive' | 'dead' | 'unknown';

/** `unknown`: it is or was on another machine, in another container, or before the machine was started again. */
export function liveness(identity: ProcessIdentity): Liveness {
  const here = ownIdentity();
  const { host, boot, pidNamespace } = identity;
  if (host !== here.host || boot !== here.boot || pidNamespace !== here.pidNamespace) return 'unknown';
  if (!runsHere(identity.pid)) return 'dead';
  const start = processStart(identity.pid);
  const same = start === null || identity.processStart === null || start === identity.processStart;
  return same ? 'alive' : 'dead';
}
