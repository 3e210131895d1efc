/** Stochastic gradient descent with Nesterov momentum, as PyTorch computes it. */
import type { SupernetWeights } from '../supernet/weights.js';

export interface SgdOptions {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

/**
 * One step, in place: g += decay * w; v = momentum * v + g; w -= rate * (g + momentum * v). Momentum starts at zeros.
 * `decayed` names the tensors that decay. Every tensor of `gradients` moves, also where its gradient is zero, as in the
 * reference; `gradients` are zeroed for the next step.
 */
export function sgdStep(
  weights: SupernetWeights,
  velocity: SupernetWeights,
  gradients: SupernetWeights,
  decayed: ReadonlySet<string>,
  { learningRate, momentum, weightDecay }: SgdOptions,
): void {
  for (const [name, { data: g }] of gradients) {
    const w = weights.get(name)!.data;
    const v = velocity.get(name)!.data;
    const decay = decayed.has(name) ? weightDecay : 0;
    for (let i = 0; i < w.length; i++) {
      const gradient = g[i]! + decay * w[i]!;
      const next = momentum * v[i]! + gradient;
      v[i] = next;
      w[i]! -= learningRate * (gradient + momentum * next);
      g[i] = 0;
    }
  }
}
