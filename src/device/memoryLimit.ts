/** Watches how much memory another process takes. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where asking is cheap, and where it starts a process that takes time from the measurement. */
const POLL_MS = 250;
const SLOW_POLL_MS = 2000;

/** Resident memory of a process, in bytes; undefined where it has ended or the system does not tell. */
async function residentBytes(pid: number): Promise<number | undefined> {
  try {
    if (process.platform === 'linux') {
      const status = await readFile(`/proc/${pid}/status`, 'utf8');
      return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    }
    if (process.platform === 'win32') return undefined;
    const { stdout } = await run('ps', ['-o', 'rss=', '-p', `${pid}`]);
    return 1024 * Number(stdout.trim());
  } catch {
    return undefined;
  }
}

/**
 * Calls `onExceeded` once when a process takes more than `maxBytes`, until the function returned is called. Between two
 * looks it may take more: on Linux the kernel is told to end this process before others when memory runs out. Windows is
 * not watched.
 */
export function watchMemory(pid: number, maxBytes: number, onExceeded: (bytes: number) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    const bytes = await residentBytes(pid);
    if (stopped || bytes === undefined) return;
    if (bytes > maxBytes) {
      onExceeded(bytes);
      return;
    }
    timer = setTimeout(() => void look(), process.platform === 'linux' ? POLL_MS : SLOW_POLL_MS);
  };
  if (process.platform === 'linux') {
    // Raising it needs no rights; a system that refuses has only lost a precaution.
    writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => undefined);
  }
  void look();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
