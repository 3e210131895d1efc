/** The architecture that an exported file says it has. */
import { decodeMetadata } from './metadata.js';
import { decodeModel } from '../lowering/readOnnx.js';
import type { Architecture } from '../space/architecture.js';
import { parseArchitecture } from '../space/file.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { readBytes } from '../util/files.js';

/** Throws UserError where the file is not one of ofakit's, or is from another space. */
export async function modelArchitecture(path: string, space: SearchSpace): Promise<Architecture> {
  const { metadataProps } = decodeModel(await readBytes(path), path);
  const { architecture, space: from } = decodeMetadata(
    new Map(metadataProps.map(({ key, value }) => [key ?? '', value ?? ''])),
    path,
  );
  if (architecture === undefined || from === undefined) {
    throw new UserError(
      `Cannot use ${path}: a file that "ofa export" wrote is wanted: it names no architecture`,
    );
  }
  if (from.name !== space.name) {
    throw new UserError(
      `Cannot use ${path}: a subnet of space "${space.name}" is wanted: it is from space "${from.name}"`,
    );
  }
  return parseArchitecture(architecture, space, path);
}
