/** What `--engine` and `--provider` choose from. */
export { PROVIDERS, type Provider } from '../engine/onnxruntime/providerName.js';

export const ENGINE_NAMES = ['onnxruntime', 'tfjs'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];
