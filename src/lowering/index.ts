/** Lowering targets. */
export { createNchwcTarget } from './nchwc/target.js';
export { onnxTarget } from './onnx.js';
export type { LoweringOptions, LoweringTarget } from './target.js';
