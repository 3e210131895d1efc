/** Blocked forms by operation; an operation that is not here is written in its plain form. */
import { activationGradientRule, activationRule } from './activation.js';
import { batchNormGradientRule, batchNormInferenceRule, batchNormRule } from './batchNorm.js';
import { convInputGradientRule, convRule } from './convolution.js';
import { addRule, affineRule, expandRule, mulRule, reduceSumRule, subRule } from './elementwise.js';
import { channelSumRule, globalAverageImageRule, globalAveragePoolRule } from './pool.js';
import type { BlockedRule } from './rule.js';
import { convWeightGradientRule } from './weightGradient.js';

export const rules: ReadonlyMap<string, BlockedRule> = new Map(
  [
    convRule,
    convInputGradientRule,
    convWeightGradientRule,
    batchNormRule,
    batchNormGradientRule,
    batchNormInferenceRule,
    activationRule,
    activationGradientRule,
    addRule,
    subRule,
    mulRule,
    affineRule,
    reduceSumRule,
    expandRule,
    globalAveragePoolRule,
    globalAverageImageRule,
    channelSumRule,
  ].map((rule) => [rule.operation, rule]),
);
