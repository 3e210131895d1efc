/** NAS-Bench-Macro's strings as vectors. Strings of one network have one vector, whatever the encoding. */
import type { VectorDecoder, VectorEncoder } from '../predictor.js';
import { macroCosts, macroStageCosts } from './macroCosts.js';
import { MACRO_CHOICES, MACRO_SLOTS, MACRO_STAGES, canonicalMacro } from './nasBenchMacro.js';

const firstSlots = new Set<number>(MACRO_STAGES.map(([start]) => start));
const slots = Array.from({ length: MACRO_SLOTS }, (_, slot) => slot);

function choiceEncoder(holds: (slot: number, choice: string) => boolean): VectorEncoder<string> {
  const places = slots.flatMap((slot) =>
    MACRO_CHOICES.filter((choice) => holds(slot, choice)).map((choice) => ({ slot, choice })),
  );
  return {
    labels: places.map(({ slot, choice }) => `slot[${slot}]=${choice}`),
    encode(arch) {
      const text = canonicalMacro(arch);
      return Float32Array.from(places, ({ slot, choice }) => (text[slot] === choice ? 1 : 0));
    },
  };
}

/** A place for every choice of every slot, also for `0` where it is nothing. Can be decoded. */
export const plainMacroEncoder: VectorEncoder<string> & VectorDecoder<string> = {
  ...choiceEncoder(() => true),
  decode(scores) {
    const best = slots.map((slot) => {
      const own = MACRO_CHOICES.map((_, i) => scores[slot * MACRO_CHOICES.length + i]!);
      return MACRO_CHOICES[own.indexOf(Math.max(...own))]!;
    });
    return canonicalMacro(best.join(''));
  },
};

/** A slot that holds nothing is all zeros. Two places a slot, three where `0` is a layer. */
export const macroEncoder = choiceEncoder((slot, choice) => choice !== '0' || firstSlots.has(slot));

/** One number a slot, the rank of its choice; 0 for nothing. */
const ordinal: VectorEncoder<string> = {
  labels: slots.map((slot) => `slot[${slot}]`),
  encode: (arch) =>
    Float32Array.from(canonicalMacro(arch), (choice, slot) =>
      firstSlots.has(slot) ? (Number(choice) + 1) / 3 : Number(choice) / 2,
    ),
};

/** Logarithms of MACs and parameters, of the network and of every stage; layers of a stage. */
const features: VectorEncoder<string> = {
  labels: [
    'log MACs',
    'log params',
    ...MACRO_STAGES.flatMap((_, stage) =>
      ['depth', 'log MACs', 'log params'].map((what) => `${what}, stage ${stage}`),
    ),
  ],
  encode(arch) {
    const { macs, params } = macroCosts(arch);
    const text = canonicalMacro(arch);
    const stages = macroStageCosts(arch).flatMap((costs, stage) => {
      const [start, end] = MACRO_STAGES[stage]!;
      const depth = text.slice(start + 1, end).replaceAll('0', '').length;
      return [depth, Math.log(costs.macs), Math.log(costs.params)];
    });
    return Float32Array.from([Math.log(macs), Math.log(params), ...stages]);
  },
};

const combined: VectorEncoder<string> = {
  labels: [...macroEncoder.labels, ...features.labels],
  encode: (arch) => Float32Array.from([...macroEncoder.encode(arch), ...features.encode(arch)]),
};

/** By name, as those of search spaces; `plain` besides. */
export const macroEncodings: ReadonlyMap<string, VectorEncoder<string>> = new Map([
  ['plain', plainMacroEncoder],
  ['one-hot', macroEncoder],
  ['ordinal', ordinal],
  ['features', features],
  ['combined', combined],
]);
