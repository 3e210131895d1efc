/** What is known of an architecture without running it: predicted accuracy, latency, costs; and the limits on them. */
import type { Architecture } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { networkCosts, type Costs, type NetworkCosts } from '../space/costs.js';
import type { Gene } from '../space/gene.js';
import type { SearchSpace } from '../space/space.js';

/** One number for every architecture, in order. In batches, as predictors are faster that way. */
export type BatchFunction = (
  archs: readonly Architecture[],
) => ArrayLike<number> | Promise<ArrayLike<number>>;

export interface Quantity {
  /** With its unit where it leaves the process: `latencyMs`, `macs`, `top1`. */
  readonly name: string;
  /** For messages: `ms`, `MACs`. */
  readonly unit: string;
  /** Which way is better. */
  readonly direction: 'maximize' | 'minimize';
  readonly evaluate: BatchFunction;
}

/** The quantity must be at most `limit` where less is better, at least `limit` where more is better. */
export interface Constraint {
  readonly quantity: Quantity;
  readonly limit: number;
}

export function latencyQuantity(evaluate: BatchFunction): Quantity {
  return { name: 'latencyMs', unit: 'ms', direction: 'minimize', evaluate };
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
  const quantity = (name: keyof Costs): Quantity => ({
    name,
    unit: UNITS[name],
    direction: 'minimize',
    evaluate: (archs) => archs.map((arch) => costs(arch)[name]),
  });
  return {
    macs: quantity('macs'),
    params: quantity('params'),
    modelBytes: quantity('modelBytes'),
    peakActivationBytes: quantity('peakActivationBytes'),
  };
}

/** By how much `value` breaks the limit, as a share of it; 0 where it is met. */
export function violation({ quantity, limit }: Constraint, value: number): number {
  const excess = quantity.direction === 'minimize' ? value - limit : limit - value;
  return excess <= 0 ? 0 : excess / Math.max(Math.abs(limit), Number.MIN_VALUE);
}

/** Calls the function and checks what it returns. Throws RangeError for a wrong count or a value that is not finite. */
export async function evaluateQuantity(
  quantity: Quantity,
  archs: readonly Architecture[],
): Promise<ArrayLike<number>> {
  if (archs.length === 0) return [];
  const values = await quantity.evaluate(archs);
  if (values.length !== archs.length) {
    throw new RangeError(
      `Cannot search: ${quantity.name} must have one value an architecture, ${archs.length} in all: it has ${values.length}`,
    );
  }
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new RangeError(
        `Cannot search: ${quantity.name} must be a finite number: it is ${values[i]} for ${JSON.stringify(archs[i])}`,
      );
    }
  }
  return values;
}

/** The function with a memory: a network is predicted once, also over several searches in the same space. */
export function rememberByKey(genes: readonly Gene[], evaluate: BatchFunction): BatchFunction {
  const known = new Map<string, number>();
  return async (archs) => {
    const keys = archs.map((arch) => architectureKey(genes, arch));
    const missing = new Map<string, Architecture>();
    keys.forEach((key, i) => {
      if (!known.has(key)) missing.set(key, archs[i]!);
    });
    if (missing.size > 0) {
      const values = await evaluate([...missing.values()]);
      let i = 0;
      for (const key of missing.keys()) known.set(key, values[i++]!);
    }
    return keys.map((key) => known.get(key)!);
  };
}
