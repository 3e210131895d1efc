/** NAS-Bench-Macro's strings as vectors. Strings of one network have one vector, whatever the encoding. */
import type { Architecture } from '../../space/architecture.js';
import { joinEncoders, oneHotEncoder, ordinalEncoder } from '../encoding.js';
import type { VectorEncoder } from '../predictor.js';
import { macroCosts, macroStageCosts } from './macroCosts.js';
import { macroArchitecture, macroGenes } from './macroSpace.js';
import { MACRO_CHOICES, MACRO_SLOTS, MACRO_STAGES, canonicalMacro } from './nasBenchMacro.js';

const onStrings = (encoder: VectorEncoder<Architecture>): VectorEncoder<string> => ({
  labels: encoder.labels,
  encode: (text) => encoder.encode(macroArchitecture(text)),
});

/** A place for every character of every slot, `0` among them, whether it is a layer or nothing. */
const plain: VectorEncoder<string> = {
  labels: Array.from({ length: MACRO_SLOTS }, (_, slot) =>
    MACRO_CHOICES.map((choice) => `slot[${slot}]=${choice}`),
  ).flat(),
  encode: (text) =>
    Float32Array.from(
      Array.from(canonicalMacro(text), (own) =>
        MACRO_CHOICES.map((choice) => (own === choice ? 1 : 0)),
      ).flat(),
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
  encode(text) {
    const { macs, params } = macroCosts(text);
    const { d } = macroArchitecture(text);
    const stages = macroStageCosts(text).flatMap((costs, stage) => [
      d[stage]!,
      Math.log(costs.macs),
      Math.log(costs.params),
    ]);
    return Float32Array.from([Math.log(macs), Math.log(params), ...stages]);
  },
};

/** As those of search spaces, on its genes: slots that hold nothing leave no trace, but in the depth of their stage. */
export const macroEncoder: VectorEncoder<string> = onStrings(oneHotEncoder({ genes: macroGenes }));

/** By name, as those of search spaces; `plain` besides. */
export const macroEncodings: ReadonlyMap<string, VectorEncoder<string>> = new Map([
  ['plain', plain],
  ['one-hot', macroEncoder],
  ['ordinal', onStrings(ordinalEncoder({ genes: macroGenes }))],
  ['features', features],
  ['combined', joinEncoders([macroEncoder, features])],
]);
