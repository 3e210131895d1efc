/** ONNX operators that can be read, by name. */
import type { ReadingRule } from './call.js';
import { convolutionRules } from './convolution.js';
import { elementwiseRules } from './elementwise.js';
import { poolRules } from './pool.js';
import { quantizationRules } from './quantization.js';
import { shapeRules } from './shapes.js';

export const readingRules: ReadonlyMap<string, ReadingRule> = new Map(
  [convolutionRules, elementwiseRules, poolRules, quantizationRules, shapeRules].flatMap((rules) =>
    Object.entries(rules),
  ),
);
