/**
 * Architectures inside other documents: what `ofa search`, `ofa specialize` and other commands write, and what other tools put
 * around an architecture (`{"config": {...}}`).
 */
import { UserError } from '../util/errors.js';
import { SIZE_KEYS } from './foreignArchitecture.js';

type JsonObject = Readonly<Record<string, unknown>>;

/** One architecture of a document, not validated yet. */
interface Candidate {
  readonly content: JsonObject;
  /** What tells it from others, for lists. */
  readonly label: string;
}

interface Found {
  /** What the document itself says is the one: the best of a search, the picked one of a front. */
  readonly chosen?: Candidate;
  readonly all: readonly Candidate[];
  /** The candidates stand in a list, so that `#N` counts them. */
  readonly listed: boolean;
}

export interface DocumentOptions {
  readonly where: string;
  /** Name of the space that the architecture is for: a document that names another is refused. */
  readonly spaceName: string;
  /** `N` of `FILE#N`: which of those in a list, from 0. */
  readonly index?: number | undefined;
}

/** Levels of objects and lists around an architecture. */
const MOST_LEVELS = 5;
/** Lists of networks, those that hold what was sought first; of several lists the first counts. */
const LISTS = ['points', 'front', 'models', 'architectures', 'finalists', 'subnets', 'wholeSubnets'];
const MOST_SHOWN = 8;

/**
 * The architecture of a document: itself, the only one in it, the one that it calls the best or picked, or number `index`.
 * What holds none is returned as it is, for the schema to refuse. Throws UserError where several are there, saying how to pick.
 */
export function architectureIn(document: unknown, options: DocumentOptions): unknown {
  const { where, index } = options;
  const found = find(document, options, MOST_LEVELS);
  if (index !== undefined) {
    const candidate = found.listed ? found.all[index] : undefined;
    if (candidate !== undefined) return candidate.content;
    const there = found.listed ? `it has ${range(found.all.length)}` : 'it holds no list of architectures';
    throw new UserError(`Cannot use ${where}#${index}: the number of an architecture is wanted: ${there}`);
  }
  if (found.chosen !== undefined) return found.chosen.content;
  const [first, ...others] = found.all;
  if (first === undefined) return document;
  if (others.every(({ content }) => same(content, first.content))) return first.content;
  const list = found.all
    .slice(0, MOST_SHOWN)
    .map(({ label }, i) => (found.listed ? `#${i} ${label}` : label));
  const more = found.all.length > MOST_SHOWN ? ', ...' : '';
  throw new UserError(
    `Cannot use ${where}: one architecture is wanted: it holds ${found.all.length} (${list.join(', ')}${more}); ` +
      (found.listed
        ? `say which as FILE#NUMBER, ${range(found.all.length)}`
        : 'give the one that is meant alone'),
  );
}

const range = (count: number): string => (count === 1 ? '#0' : `#0 to #${count - 1}`);

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Depths are in every form of an architecture; a wrong one may lack them. */
const looksLikeArchitecture = (value: JsonObject): boolean =>
  ['d', 'ks', 'e'].some((key) => {
    const own = value[key];
    return Array.isArray(own) || typeof own === 'number';
  });

const NOTHING: Found = { all: [], listed: false };

function find(value: unknown, options: DocumentOptions, levels: number): Found {
  if (levels === 0) return NOTHING;
  if (Array.isArray(value)) return listOf(value, options, levels);
  if (!isObject(value)) return NOTHING;
  checkSpace(value, options);
  if (looksLikeArchitecture(value)) return { all: [{ content: value, label: label(value) }], listed: false };
  const own = nested(value['architecture'], value, 'architecture', options, levels);
  if (own !== undefined) return { all: [{ ...own, label: label(value) }], listed: false };
  return networks(value, options, levels) ?? wrapped(value, options, levels);
}

/** A document that holds networks in lists: those, and which of them it chose. */
function networks(value: JsonObject, options: DocumentOptions, levels: number): Found | undefined {
  const best = nested(value['best'], value, 'best', options, levels);
  const key = LISTS.find((name) => Array.isArray(value[name]));
  if (key === undefined) return best && { chosen: best, all: [best], listed: false };
  const found = listOf(value[key] as readonly unknown[], options, levels);
  const { picked } = value;
  const index = isObject(picked) ? picked['index'] : undefined;
  const chosen = best ?? (typeof index === 'number' ? found.all[index] : undefined);
  return chosen === undefined ? found : { ...found, chosen };
}

function listOf(list: readonly unknown[], options: DocumentOptions, levels: number): Found {
  const all: Candidate[] = [];
  for (const entry of list) {
    const { chosen, all: inside } = find(entry, options, levels - 1);
    const candidate = chosen ?? inside[0];
    if (candidate !== undefined) all.push(candidate);
  }
  return { all, listed: true };
}

/** An architecture under any key of an object that is none itself. */
function wrapped(value: JsonObject, options: DocumentOptions, levels: number): Found {
  const all = Object.entries(value).flatMap(([key, inner]) => {
    const candidate = isObject(inner) ? nested(inner, value, key, options, levels) : undefined;
    return candidate === undefined ? [] : [{ ...candidate, label: `"${key}"` }];
  });
  return { all, listed: false };
}

/** The one architecture inside `inner`, with the image size that may stand beside it. */
function nested(
  inner: unknown,
  outer: JsonObject,
  key: string,
  options: DocumentOptions,
  levels: number,
): Candidate | undefined {
  if (!isObject(inner)) return undefined;
  const { chosen, all, listed } = find(inner, options, levels - 1);
  if (listed && chosen === undefined) return undefined;
  const candidate = chosen ?? all[0];
  if (candidate === undefined) return undefined;
  if (chosen === undefined && all.some(({ content }) => !same(content, candidate.content))) {
    const labels = all.map((other) => other.label).join(', ');
    throw new UserError(
      `Cannot use ${options.where} at "${key}": one architecture is wanted: it holds ${all.length} (${labels})`,
    );
  }
  return { ...candidate, content: withSizeOf(outer, candidate.content, key, options.where) };
}

/** Inside and outside may both name the size: where the words differ, all are kept, and the reader of forms compares them. */
function withSizeOf(outer: JsonObject, content: JsonObject, key: string, where: string): JsonObject {
  const result: Record<string, unknown> = { ...content };
  for (const name of SIZE_KEYS) {
    const value = outer[name];
    if (value === undefined || value === null) continue;
    const own = result[name] ?? value;
    if (!same([own].flat(), [value].flat())) {
      throw new UserError(
        `Cannot use ${where}: "${name}" must be the same inside "${key}" and beside it: it is ${JSON.stringify(own)} and ${JSON.stringify(value)}`,
      );
    }
    result[name] = own;
  }
  return result;
}

function checkSpace({ space }: JsonObject, { where, spaceName }: DocumentOptions): void {
  const name = isObject(space) ? space['name'] : space;
  if (typeof name !== 'string' || name === spaceName) return;
  throw new UserError(
    `Cannot use ${where}: a subnet of space "${spaceName}" is wanted: it is from space "${name.slice(0, 100)}"`,
  );
}

/** What a list says of a network beside its architecture. */
function label(value: JsonObject): string {
  const { device, maxLatencyMs, values } = value;
  if (typeof device === 'string' && typeof maxLatencyMs === 'number')
    return `${device.slice(0, 40)} ${maxLatencyMs} ms`;
  const figures = Object.entries(isObject(values) ? values : value)
    .filter(([, figure]) => typeof figure === 'number')
    .slice(0, 2)
    .map(([name, figure]) => `${name.slice(0, 30)} ${Number((figure as number).toPrecision(3))}`);
  return figures.join(' ');
}
