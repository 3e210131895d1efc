/** Architectures as users give them: inline JSON, a file, or the words `largest` and `smallest`. */
import { z } from 'zod';
import { UserError } from '../util/errors.js';
import { parseJson, readBytes, validate } from '../util/files.js';
import { architectureFileSchema, fromFile, type Architecture } from './architecture.js';
import type { Gene } from './gene.js';
import { checkArchitecture, type SearchSpace } from './space.js';

/**
 * Reads the `A` of the command line. A number instead of a list means that value everywhere, as in the reference's
 * `set_active_subnet` (positions with only one choice keep it); other keys are let pass. Throws UserError naming the
 * position, the allowed values and the current one.
 */
export async function readArchitecture(text: string, space: SearchSpace): Promise<Architecture> {
  const trimmed = text.trim();
  if (trimmed === 'largest') return space.largest;
  if (trimmed === 'smallest') return space.smallest;
  const inline = trimmed.startsWith('{');
  const where = inline ? 'the architecture' : trimmed;
  const json = inline ? trimmed : (await readBytes(trimmed)).toString('utf8');
  return parseArchitecture(parseJson(json, z.unknown(), where), space, where);
}

/** The same for JSON that was read already; `where` names its origin in messages. Throws UserError. */
export function parseArchitecture(
  content: unknown,
  space: SearchSpace,
  where = 'the architecture',
): Architecture {
  const file = validate(broadcast(content, space.genes), architectureFileSchema, where);
  const arch = fromFile(file);
  try {
    checkArchitecture(space.genes, arch, space.name);
  } catch (cause) {
    if (cause instanceof RangeError) throw new UserError(cause.message, { cause });
    throw cause;
  }
  return arch;
}

function broadcast(content: unknown, genes: readonly Gene[]): unknown {
  if (typeof content !== 'object' || content === null) return content;
  const result: Record<string, unknown> = { ...content };
  for (const list of ['ks', 'e', 'd', 'w'] as const) {
    const value = result[list];
    const own = genes.filter((gene) => gene.list === list);
    if (typeof value === 'number')
      result[list] = own.map(({ choices }) => (choices.length === 1 ? choices[0] : value));
    // The reference writes null for what a family does not have.
    else if (value === null && own.length === 0) result[list] = list === 'w' ? undefined : [];
  }
  if (result['w'] === undefined) delete result['w'];
  // The reference's tutorial writes `"r": [224]` (`ofa/tutorial/evolution_finder.py`, ArchManager).
  const { r } = result;
  if (result['image_size'] === undefined && r !== undefined) {
    result['image_size'] = Array.isArray(r) && r.length === 1 ? (r[0] as unknown) : r;
    delete result['r'];
  }
  return result;
}
