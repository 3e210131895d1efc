/** MACs and parameters of NAS-Bench-Macro's networks, from their definition (its README); the table's own for all strings. */
import { MACRO_STAGES, canonicalMacro } from './nasBenchMacro.js';

export interface MacroCosts {
  /** Multiply-accumulates of convolutions and the linear layer for one image. */
  readonly macs: number;
  /** Weights, with scales and shifts of batch norm. */
  readonly params: number;
}

const IMAGE = 32;
const CLASSES = 10;
const STEM = 32;
const STAGE_CHANNELS = [64, 128, 256] as const;
const HEAD = 1280;
/** Inverted residuals that a character stands for. */
const LAYERS: Readonly<Record<string, { readonly kernel: number; readonly expansion: number }>> = {
  '1': { kernel: 3, expansion: 3 },
  '2': { kernel: 5, expansion: 6 },
};

const plus = (a: MacroCosts, b: MacroCosts): MacroCosts => ({
  macs: a.macs + b.macs,
  params: a.params + b.params,
});

/** A convolution without bias, and its batch norm; `size`: of the output. */
function convolution(from: number, to: number, kernel: number, size: number, groups = 1): MacroCosts {
  const weights = (from / groups) * to * kernel ** 2;
  return { macs: weights * size ** 2, params: weights + 2 * to };
}

/** `first`: with stride 2, from half the channels. */
function slotCosts(choice: string, channels: number, size: number, first: boolean): MacroCosts {
  const from = first ? channels / 2 : channels;
  const layer = LAYERS[choice];
  if (layer === undefined) return first ? convolution(from, channels, 1, size) : { macs: 0, params: 0 };
  const hidden = from * layer.expansion;
  return [
    convolution(from, hidden, 1, first ? 2 * size : size),
    convolution(hidden, hidden, layer.kernel, size, hidden),
    convolution(hidden, channels, 1, size),
  ].reduce(plus);
}

/** Of the three stages. */
export function macroStageCosts(arch: string): MacroCosts[] {
  const text = canonicalMacro(arch);
  return MACRO_STAGES.map(([start, end], stage) =>
    Array.from(text.slice(start, end), (choice, i) =>
      slotCosts(choice, STAGE_CHANNELS[stage]!, IMAGE / 2 ** (stage + 1), i === 0),
    ).reduce(plus),
  );
}

export function macroCosts(arch: string): MacroCosts {
  const last = STAGE_CHANNELS[STAGE_CHANNELS.length - 1]!;
  const linear = HEAD * CLASSES;
  return [
    convolution(3, STEM, 3, IMAGE),
    ...macroStageCosts(arch),
    convolution(last, HEAD, 1, IMAGE / 2 ** MACRO_STAGES.length),
    { macs: linear, params: linear + CLASSES },
  ].reduce(plus);
}
