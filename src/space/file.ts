/** Architectures as users give them: inline JSON, a file, or the words `largest` and `smallest`. */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../util/errors.js';
import { parseJson, readJsonLines, readText, validate } from '../util/files.js';
import { architectureFileSchema, fromFile, type Architecture } from './architecture.js';
import { architectureIn } from './architectureDocument.js';
import { resolveForms } from './foreignArchitecture.js';
import { checkArchitecture, type SearchSpace } from './space.js';

/** `FILE#N` means number N of a file that holds several architectures, from 0; a file may have such a name itself. */
export function splitIndex(text: string): { readonly path: string; readonly index?: number } {
  const found = /^(.+)#(\d{1,9})$/s.exec(text);
  if (found === null || existsSync(text)) return { path: text };
  return { path: found[1]!, index: Number(found[2]) };
}

/**
 * Reads the `A` of the command line: inline JSON, the words, or a file: an architecture, or a document of ofakit's own that
 * holds some (`FILE#N` for one of several; `.jsonl` by lines). A number instead of a list means that value everywhere, as in
 * the reference's `set_active_subnet` (positions with only one choice keep it); other keys are let pass. Throws UserError
 * naming the position, the allowed values and the current one.
 */
export async function readArchitecture(text: string, space: SearchSpace): Promise<Architecture> {
  const trimmed = text.trim();
  if (trimmed === 'largest') return space.largest;
  if (trimmed === 'smallest') return space.smallest;
  if (/^[{[]/.test(trimmed) && !existsSync(trimmed)) {
    return parseArchitecture(parseJson(trimmed, z.unknown(), 'the architecture'), space);
  }
  const { path, index } = splitIndex(trimmed);
  const content = path.endsWith('.jsonl')
    ? await readLines(path)
    : parseJson(await readText(path), z.unknown(), path);
  return read(content, space, path, index);
}

async function readLines(path: string): Promise<unknown[]> {
  if (!existsSync(path)) await readText(path);
  return readJsonLines(path, z.unknown());
}

/** The same for JSON that was read already; `where` names its origin in messages. Throws UserError. */
export function parseArchitecture(
  content: unknown,
  space: SearchSpace,
  where = 'the architecture',
): Architecture {
  return read(content, space, where);
}

function read(content: unknown, space: SearchSpace, where: string, index?: number): Architecture {
  const found = architectureIn(content, { where, spaceName: space.name, index });
  const resolved =
    typeof found === 'object' && found !== null && !Array.isArray(found)
      ? resolveForms(found as Record<string, unknown>, space.genes, where)
      : found;
  const arch = fromFile(validate(resolved, architectureFileSchema, where));
  try {
    checkArchitecture(space.genes, arch, space.name);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new UserError(
      cause.message.replace('the architecture', () => where),
      { cause },
    );
  }
  return arch;
}
