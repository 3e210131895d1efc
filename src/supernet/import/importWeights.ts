/** Supernets that the reference implementation of Once-for-All saved, as ours. */
import type { SearchSpace } from '../../space/space.js';
import { unknownName, UserError } from '../../util/errors.js';
import { formatShape, sameShape } from '../../util/tensor.js';
import { storedParameters, type SupernetWeights } from '../weights.js';
import type { ForeignTensor } from './family.js';
import { foreignFamilies } from './families/index.js';
import { readStateDict, type StateDict, type StoredTensor } from './stateDict.js';

const MOST_LINES = 4;

/** Tensors of a file that are not those of the space. */
export class TensorMismatch extends UserError {
  override readonly name = 'TensorMismatch';

  constructor(
    message: string,
    /** One line each, with the name in the file. */
    readonly problems: readonly string[],
  ) {
    super(message);
  }

  /** The problems by their kind, a line each: how many, and an example. At most four lines. */
  get summary(): string[] {
    const kinds = new Map<string, string[]>();
    for (const problem of this.problems) {
      const kind = problem.slice(0, problem.indexOf(':'));
      kinds.set(kind, [...(kinds.get(kind) ?? []), problem.slice(kind.length + 2)]);
    }
    return [...kinds]
      .sort(([, a], [, b]) => b.length - a.length)
      .slice(0, MOST_LINES)
      .map(([kind, list]) =>
        list.length === 1 ? `${kind}: ${list[0]!}` : `${kind}: ${list.length} tensors, the first ${list[0]!}`,
      );
  }
}

/** What the reference calls the tensors of a supernet of this space. Throws UserError for a family it does not have. */
export function foreignTensors(space: SearchSpace): ForeignTensor[] {
  const name = space.file.family;
  const family = foreignFamilies.get(name);
  if (family === undefined) throw unknownName('family to import', name, [...foreignFamilies.keys()]);
  return family.tensors(space, storedParameters(space));
}

/**
 * A name in the shortest of the forms that the reference itself takes for one (`load_state_dict`,
 * `EN/networks/ofa_mbv3.py:209-235`): published files wrap layers, call blocks' `conv` by an older name, or neither.
 */
export function plainName(name: string): string {
  return name
    .replace('.mobile_inverted_conv.', '.conv.')
    .replace(/(?:\.bn)+\./, '.bn.')
    .replace(/(?:\.conv)+\.weight$/, '.conv.weight')
    .replace(/(?:\.linear)+\./, '.linear.');
}

/**
 * The weights of a supernet of `space` from the bytes of a file of the reference. Throws UserError for a file that cannot
 * be read, TensorMismatch for tensors that are not those of the space: missing, unexpected, or of another shape or type.
 */
export async function importWeights(
  bytes: Uint8Array,
  space: SearchSpace,
  where: string,
): Promise<SupernetWeights> {
  return weightsOf(await readStateDict(bytes, where), space, where);
}

/** The same from tensors that were found. Throws as `importWeights`. */
export function weightsOf(found: StateDict, space: SearchSpace, where: string): SupernetWeights {
  const { pairs, problems } = match(foreignTensors(space), found);
  for (const [{ foreignShape }, name, tensor] of pairs) {
    const { shape, notFloat } = tensor;
    if (!sameShape(shape, foreignShape))
      problems.push(`wrong shape: ${name} must be ${formatShape(foreignShape)}: it is ${formatShape(shape)}`);
    else if (notFloat !== undefined)
      problems.push(`wrong type: ${name} must hold floating-point numbers: it is a ${notFloat}`);
  }
  if (problems.length === 0) return read(pairs, space, where);
  throw new TensorMismatch(
    `Cannot import ${where}: its tensors must be those of space "${space.name}" (width ${space.parameters.width}, ` +
      `${space.parameters.classes} classes); ${problems.length} do not; is --space, --width or --classes another?`,
    problems,
  );
}

type Pair = readonly [ForeignTensor, string, StoredTensor];

export function match(
  wanted: readonly ForeignTensor[],
  found: StateDict,
): { pairs: Pair[]; problems: string[] } {
  const byPlainName = new Map<string, [string, StoredTensor]>();
  const problems: string[] = [];
  for (const [name, tensor] of found) {
    const plain = plainName(name);
    const other = byPlainName.get(plain);
    if (other === undefined) byPlainName.set(plain, [name, tensor]);
    else problems.push(`twice: ${name} is also there as ${other[0]}`);
  }
  const pairs: Pair[] = [];
  for (const tensor of wanted) {
    const plain = plainName(tensor.foreignName);
    const entry = byPlainName.get(plain);
    if (entry === undefined)
      problems.push(`missing: ${tensor.foreignName} ${formatShape(tensor.foreignShape)}`);
    else pairs.push([tensor, ...entry]);
    byPlainName.delete(plain);
  }
  for (const [name] of byPlainName.values()) problems.push(`unexpected: ${name}`);
  return { pairs, problems };
}

function read(pairs: readonly Pair[], space: SearchSpace, where: string): SupernetWeights {
  const shapes = new Map(storedParameters(space).map(({ name, shape }) => [name, shape]));
  const weights: SupernetWeights = new Map();
  for (const [{ name }, foreignName, tensor] of pairs) {
    const { data } = tensor.read();
    if (!data.every((v) => Number.isFinite(v)))
      throw new UserError(
        `Cannot import ${where}: weights must be finite numbers: ${foreignName} has others`,
      );
    weights.set(name, { shape: shapes.get(name)!, data });
  }
  return weights;
}
