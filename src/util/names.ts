/** Names that become parts of paths: of search spaces and devices. Files hold them, and files may come from anywhere. */
import { isAbsolute, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { UserError } from './errors.js';

/** Starts with a letter, a digit or `_`: no `..`, no hidden file, nothing that looks like an option. */
const CHARACTERS = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N} ._+-]*$/u;
/** Windows opens devices instead of files by these names, whatever ending they have. */
const RESERVED = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])( *\.|$)/i;
/** Bytes: file systems take 255, and names are put together (SPACE-DEVICE-LIMITms.onnx.PID.tmp). */
const LONGEST = 100;

/** What is wrong with a name; undefined where nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'a name must not be empty';
  if (Buffer.byteLength(name) > LONGEST)
    return `a name must have at most ${LONGEST} bytes: it has ${Buffer.byteLength(name)}`;
  if (!CHARACTERS.test(name) || /[ .]$/.test(name))
    return `a name must be letters, digits, ".", "_", "-", "+" and spaces, start with a letter, a digit or "_", and not end in "." or a space: it is ${JSON.stringify(name)}`;
  if (RESERVED.test(name))
    return `a name must not be one that Windows reserves: it is ${JSON.stringify(name)}`;
  return undefined;
}

/** The one form of names of spaces and devices, for every file and message that holds one. */
export const nameSchema = z.string().superRefine((name, issues) => {
  const problem = nameProblem(name);
  if (problem !== undefined) issues.addIssue({ code: 'custom', message: problem });
});

/** Throws UserError naming `what` (`device`) for a name that must not become part of a path. */
export function checkName(what: string, name: string): string {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new UserError(`Cannot use this name of a ${what}: ${problem}`);
  return name;
}

/** `folder/parts`, which must stay inside the folder. Throws UserError where it does not. */
export function pathInside(folder: string, ...parts: readonly string[]): string {
  const path = join(folder, ...parts);
  const way = relative(resolve(folder), resolve(path));
  if (way === '' || way === '..' || /^\.\.[/\\]/.test(way) || isAbsolute(way))
    throw new UserError(`Cannot use ${path}: a path inside ${folder} is wanted`);
  return path;
}
