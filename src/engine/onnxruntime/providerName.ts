/** Execution providers that graphs can be run on, by ONNX Runtime's names. */
export const PROVIDERS = ['cpu', 'cuda', 'webgpu'] as const;
export type Provider = (typeof PROVIDERS)[number];
