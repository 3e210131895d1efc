/** How much of its limit a chosen model uses, why not more, and which limits one model serves. */
import type { CellName, SpareTime } from './specialization.js';

/** A model that uses less of its limit is worth a word. */
export const MUCH_LESS = 0.85;

/** A network that was measured on the device. */
export interface MeasuredNetwork {
  readonly latencyMs: number;
  readonly predictedMs: number;
  readonly validationTop1: number;
}

/** What was measured on a device, seen from one limit. */
export interface LimitView {
  readonly maxLatencyMs: number;
  readonly chosen: MeasuredNetwork;
  /** All that was measured on the device. */
  readonly measured: readonly MeasuredNetwork[];
  /** Those that were proposed for this limit. */
  readonly proposed: readonly MeasuredNetwork[];
}

const networks = (count: number): string => (count === 1 ? 'one network' : `${count} networks`);
const percent = (share: number): string => `${Math.round(100 * share)} %`;

/** Null where the model breaks its limit, or uses at least `MUCH_LESS` of it. */
export function spareTime({ maxLatencyMs, chosen, measured, proposed }: LimitView): SpareTime | null {
  const share = chosen.latencyMs / maxLatencyMs;
  if (share > 1 || share >= MUCH_LESS) return null;
  const near = MUCH_LESS * maxLatencyMs;
  const slower = measured.filter(({ latencyMs }) => latencyMs >= near && latencyMs <= maxLatencyMs);
  if (slower.length > 0) {
    const best = Math.max(...slower.map(({ validationTop1 }) => validationTop1));
    return {
      share,
      cause: 'no-gain',
      explanation: `${networks(slower.length)} measured closer to the limit ${slower.length === 1 ? 'is' : 'are'} no more accurate on validation images (${(100 * best).toFixed(2)} % at best)`,
    };
  }
  const broke = proposed.filter(({ latencyMs }) => latencyMs > maxLatencyMs);
  if (broke.length > 0) {
    const closest = Math.min(...broke.map(({ latencyMs }) => latencyMs));
    return {
      share,
      cause: 'broke-limit',
      explanation: `${networks(broke.length)} predicted closer to the limit ${broke.length === 1 ? 'was' : 'were'} measured above it (${closest.toFixed(3)} ms at best)`,
    };
  }
  if (chosen.predictedMs >= near) {
    return {
      share,
      cause: 'faster-than-predicted',
      explanation: `it was measured faster than predicted (${chosen.predictedMs.toFixed(3)} ms)`,
    };
  }
  return {
    share,
    cause: 'none-proposed',
    explanation: 'no network closer to the limit is predicted to be more accurate',
  };
}

/** `uses 64 % of its limit: ...`. */
export const describeSpare = ({ share, explanation }: SpareTime): string =>
  `uses ${percent(share)} of its limit: ${explanation}`;

const nameOf = ({ device, maxLatencyMs }: CellName): CellName => ({ device, maxLatencyMs });

/** For each model the other cells that hold the same network. */
export function sameModels(models: readonly (CellName & { readonly architecture: unknown })[]): CellName[][] {
  const keys = models.map(({ architecture }) => JSON.stringify(architecture));
  return models.map((_, i) => models.filter((__, j) => j !== i && keys[j] === keys[i]).map(nameOf));
}
