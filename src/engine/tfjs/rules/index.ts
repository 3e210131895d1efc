/** Rules by operation: each operation has one (test/engine/tfjs/rules.test.ts). */
import type { TfjsRule } from '../rule.js';
import { activationGradientRule, activationRule } from './activation.js';
import { averagePoolGradientRule, averagePoolRule } from './averagePool.js';
import { batchNormGradientRule, batchNormInferenceRule, batchNormRule } from './batchNorm.js';
import {
  channelExpandRule,
  channelSumRule,
  globalAverageImageRule,
  globalAveragePoolRule,
} from './channels.js';
import { convInputGradientRule, convRule, convWeightGradientRule } from './conv/index.js';
import { addRule, affineRule, expRule, fakeQuantizeRule, mulRule, subRule } from './elementwise.js';
import { denseRule, matmulRule } from './matmul.js';
import { maximaOfRule, maxPoolGradientRule, maxPoolRule } from './maxPool.js';
import { expandRule, padRule, reduceSumRule, reshapeRule, sliceRule, transposeRule } from './shape.js';
import { logSoftmaxRule, softmaxRule } from './softmax.js';

export const rules: ReadonlyMap<string, TfjsRule> = new Map(
  [
    addRule,
    subRule,
    mulRule,
    affineRule,
    expRule,
    fakeQuantizeRule,
    activationRule,
    activationGradientRule,
    reshapeRule,
    transposeRule,
    sliceRule,
    padRule,
    reduceSumRule,
    expandRule,
    matmulRule,
    denseRule,
    softmaxRule,
    logSoftmaxRule,
    convRule,
    convInputGradientRule,
    convWeightGradientRule,
    channelSumRule,
    channelExpandRule,
    globalAveragePoolRule,
    globalAverageImageRule,
    batchNormRule,
    batchNormGradientRule,
    batchNormInferenceRule,
    averagePoolRule,
    averagePoolGradientRule,
    maxPoolRule,
    maxPoolGradientRule,
    maximaOfRule,
  ].map((rule) => [rule.operation, rule]),
);
