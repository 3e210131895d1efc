/** Disks that take no more, for one process. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/**
 * Words before a command that give it a file system of `kib` KiB at `disk` and copy what is there afterwards to `kept`:
 * the mount is the process's own and ends with it. Makes both folders.
 */
export function smallDisk(disk: string, kept: string, kib: number): string[] {
  mkdirSync(disk);
  mkdirSync(kept);
  const script =
    'disk=$1 kept=$2 size=$3; shift 3; mount -t tmpfs -o size="$size" tmpfs "$disk" || exit 99; ' +
    '"$@"; code=$?; cp -R "$disk/." "$kept"; exit $code';
  const own = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh'];
  return [...own, disk, kept, `${kib}k`];
}

/** Whether this system lets a process have a file system of its own. */
export function canMount(disk: string, kept: string): boolean {
  const [command, ...rest] = smallDisk(disk, kept, 320);
  return spawnSync(command!, [...rest, 'true']).status === 0;
}
