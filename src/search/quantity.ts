/** What can be asked of an architecture: accuracy, latency, costs; and the limits on them. */
import type { Architecture } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { networkCosts, type Costs, type NetworkCosts } from '../space/costs.js';
import type { CoverageFunction } from '../space/coverage.js';
import type { Gene } from '../space/gene.js';
import type { Genome, Genotype } from '../space/genotype.js';
import type { SearchSpace } from '../space/space.js';
import type { Candidate, ObjectiveInfo } from './trial.js';
import { additiveFunction, SUM_TOLERANCE } from './additive.js';
import type { BatchFunction, GenotypeFunction } from './batch.js';

export type { BatchFunction, GenotypeFunction } from './batch.js';

/** `name`: with its unit where it leaves the process, as in `latencyMs`, `macs`, `top1`. */
export interface Quantity extends ObjectiveInfo {
  /** For messages: `ms`, `MACs`. */
  readonly unit: string;
  readonly evaluate: BatchFunction;
  /** Known of any network at no cost worth counting: no surrogate guesses it. */
  readonly cheap?: boolean;
  /** The same on a share of the validation images, in (0, 1), at that share of the cost. Absent where there are none. */
  readonly evaluateAt?: (
    archs: readonly Architecture[],
    fidelity: number,
  ) => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** A quicker way for thousands, where there is one for these genes; its answers may be rounded otherwise. */
  readonly forGenome?: (genome: Genome) => GenotypeFunction | undefined;
  /** What it can answer: `evaluate` is Infinity for other networks, and searches leave them out. Absent: all. */
  readonly coverage?: CoverageFunction;
  /** Architectures asked at once, at most; 1 for measurements, so that each is kept when it is done. Default: no limit. */
  readonly chunk?: number;
}

/** The quantity must be at most `limit` where less is better, at least `limit` where more is better. */
export interface Constraint {
  readonly quantity: Quantity;
  readonly limit: number;
}

/** Predicted: `cheap`. `device`: part of the name, where there are several. */
export function latencyQuantity(evaluate: BatchFunction, device?: string): Quantity {
  const name = device === undefined ? 'latencyMs' : `latencyMs.${device}`;
  return {
    name,
    unit: 'ms',
    direction: 'minimize',
    cheap: true,
    evaluate,
    forGenome: (genome) => additiveFunction(genome, evaluate),
    ...(evaluate.coverage && { coverage: evaluate.coverage }),
  };
}

export function accuracyQuantity(evaluate: BatchFunction): Quantity {
  return { name: 'accuracy', unit: '', direction: 'maximize', evaluate };
}

const UNITS: Record<keyof Costs, string> = {
  macs: 'MACs',
  params: 'parameters',
  modelBytes: 'bytes',
  peakActivationBytes: 'bytes',
};

/** The costs that can be limited. Networks are counted once an architecture, however many of these are asked. */
export function costQuantities(space: SearchSpace): Readonly<Record<keyof Costs, Quantity>> {
  const counted = new WeakMap<Architecture, NetworkCosts>();
  const costs = (arch: Architecture): NetworkCosts => {
    let known = counted.get(arch);
    if (known === undefined) counted.set(arch, (known = networkCosts(space.network(arch))));
    return known;
  };
  const quantity = (name: keyof Costs): Quantity => {
    const evaluate: BatchFunction = (archs) => archs.map((arch) => costs(arch)[name]);
    return {
      name,
      unit: UNITS[name],
      direction: 'minimize',
      cheap: true,
      evaluate,
      forGenome: (genome) => additiveFunction(genome, evaluate),
    };
  };
  return {
    macs: quantity('macs'),
    params: quantity('params'),
    modelBytes: quantity('modelBytes'),
    peakActivationBytes: quantity('peakActivationBytes'),
  };
}

/** What an unknown value breaks a limit by: finite, so that sums over several limits still tell networks apart. */
const MOST_VIOLATION = 1e6;

/** By how much `value` breaks the limit, as a share of it (of 1 for a limit of 0); 0 where it is met. At most 1e6. */
export function violation({ quantity, limit }: Constraint, value: number): number {
  const excess = quantity.direction === 'minimize' ? value - limit : limit - value;
  return excess <= 0 ? 0 : Math.min(MOST_VIOLATION, excess / (Math.abs(limit) || 1));
}

/**
 * Throws RangeError for a wrong count or a value that is not finite (Infinity may be where a quantity cannot answer for all);
 * `describe` names the place of one.
 */
function checkValues(
  { name, coverage }: Quantity,
  values: ArrayLike<number>,
  count: number,
  describe: (place: number) => unknown,
): ArrayLike<number> {
  if (values.length !== count) {
    throw new RangeError(
      `Cannot search: ${name} must have one value an architecture, ${count} in all: it has ${values.length}`,
    );
  }
  for (let i = 0; i < count; i++) {
    if (Number.isFinite(values[i]) || (coverage && values[i] === Number.POSITIVE_INFINITY)) continue;
    throw new RangeError(
      `Cannot search: ${name} must be a finite number: it is ${values[i]} for ${JSON.stringify(describe(i))}`,
    );
  }
  return values;
}

/** Calls the function and checks what it returns. Throws RangeError for a wrong count or a value that is no number. */
export async function evaluateQuantity(
  quantity: Quantity,
  archs: readonly Architecture[],
): Promise<ArrayLike<number>> {
  if (archs.length === 0) return [];
  return checkValues(quantity, await quantity.evaluate(archs), archs.length, (i) => archs[i]);
}

export type CandidateFunction = (candidates: readonly Candidate[]) => Promise<ArrayLike<number>>;

/** The quantity of candidates, each at its own fidelity, by the quickest way there is. Throws as `evaluateQuantity`. */
export function candidateFunction(quantity: Quantity, genome: Genome): CandidateFunction {
  const quick = quantity.forGenome?.(genome);
  return async (candidates) => {
    const { length } = candidates;
    if (length === 0) return [];
    const describe = (i: number): unknown => candidates[i]!.architecture;
    if (candidates.some(({ fidelity }) => fidelity !== undefined))
      return checkValues(quantity, await atFidelities(quantity, candidates), length, describe);
    const values =
      quick === undefined
        ? quantity.evaluate(candidates.map(({ architecture }) => architecture))
        : quick(candidates.map(({ genotype }) => genotype));
    return checkValues(quantity, await values, length, describe);
  };
}

/** Quantities that know no shares of images (counts, tables) are the same at each. */
async function atFidelities(quantity: Quantity, candidates: readonly Candidate[]): Promise<number[]> {
  const values: number[] = [];
  for (const { architecture, fidelity = 1 } of candidates) {
    const asked =
      fidelity === 1 || quantity.evaluateAt === undefined
        ? quantity.evaluate([architecture])
        : quantity.evaluateAt([architecture], fidelity);
    values.push((await asked)[0]!);
  }
  return values;
}

/**
 * Quick answers, with the quantity's own where rounding might decide about the limit. `architecture`: of each place. Throws
 * as `evaluateQuantity`.
 */
export async function exactWhereClose(
  { quantity, limit }: Constraint,
  values: ArrayLike<number>,
  architecture: (place: number) => Architecture,
): Promise<ArrayLike<number>> {
  if (quantity.forGenome === undefined) return values;
  const margin = SUM_TOLERANCE * Math.abs(limit);
  const close: number[] = [];
  for (let i = 0; i < values.length; i++) if (Math.abs(values[i]! - limit) <= margin) close.push(i);
  if (close.length === 0) return values;
  const exact = await evaluateQuantity(quantity, close.map(architecture));
  const all = Float64Array.from(values);
  close.forEach((place, i) => (all[place] = exact[i]!));
  return all;
}

/** By how much genotypes break the limit (`violation`), by the quickest way there is. Throws as `evaluateQuantity`. */
export function violationFunction(
  constraint: Constraint,
  genome: Genome,
): (genotypes: readonly Genotype[]) => Promise<Float64Array> {
  const { quantity } = constraint;
  const quick = quantity.forGenome?.(genome);
  return async (genotypes) => {
    const decode = (place: number): Architecture => genome.decode(genotypes[place]!);
    const answers = quick?.(genotypes) ?? quantity.evaluate(genotypes.map((_, i) => decode(i)));
    const checked = checkValues(quantity, await answers, genotypes.length, decode);
    const values = await exactWhereClose(constraint, checked, decode);
    const excess = new Float64Array(genotypes.length);
    for (let i = 0; i < excess.length; i++) excess[i] = violation(constraint, values[i]!);
    return excess;
  };
}

/** Networks whose answers are kept: more than a space has that is searched exhaustively. */
const MOST_REMEMBERED = 250_000;

/**
 * The function with a memory: a network is predicted once, also over several searches in the same space. Searches under tight
 * limits ask about millions of networks once; what is beyond the first 250,000 is not kept.
 */
export function rememberByKey(genes: readonly Gene[], evaluate: BatchFunction): BatchFunction {
  const known = new Map<string, number>();
  const remembering = async (archs: readonly Architecture[]): Promise<number[]> => {
    const keys = archs.map((arch) => architectureKey(genes, arch));
    const missing = new Map<string, Architecture>();
    keys.forEach((key, i) => {
      if (!known.has(key)) missing.set(key, archs[i]!);
    });
    const values = missing.size === 0 ? [] : await evaluate([...missing.values()]);
    const answers = new Map([...missing.keys()].map((key, i) => [key, values[i]!]));
    for (const [key, value] of answers) {
      if (known.size === MOST_REMEMBERED) break;
      known.set(key, value);
    }
    return keys.map((key) => answers.get(key) ?? known.get(key)!);
  };
  return evaluate.coverage ? Object.assign(remembering, { coverage: evaluate.coverage }) : remembering;
}
