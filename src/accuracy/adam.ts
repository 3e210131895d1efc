/** Adam, on named float32 arrays. No state but what the caller holds. */

export interface AdamOptions {
  readonly learningRate: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Added to the gradient, times the parameter: L2, not decoupled, as in `torch.optim.Adam`. One for all, or by name. */
  readonly weightDecay?: number | ((name: string) => number);
}

export type NamedArrays = Readonly<Record<string, Float32Array>>;

export interface AdamState {
  /** Updates so far. */
  readonly step: number;
  /** Running means of gradients, and of their squares. */
  readonly mean: NamedArrays;
  readonly square: NamedArrays;
}

const zerosLike = (arrays: NamedArrays): NamedArrays =>
  Object.fromEntries(Object.entries(arrays).map(([name, { length }]) => [name, new Float32Array(length)]));

export function initAdam(parameters: NamedArrays): AdamState {
  return { step: 0, mean: zerosLike(parameters), square: zerosLike(parameters) };
}

/**
 * One step; returns the state to go on from. Writes into the arrays of `parameters` and `state`, as fresh ones would take
 * longer than the arithmetic. Kingma and Ba, "Adam: a method for stochastic optimization" (ICLR 2015), algorithm 1.
 * Throws TypeError for a gradient that is missing or of another length, before anything is written.
 */
export function updateAdam(
  { step: before, mean, square }: AdamState,
  parameters: NamedArrays,
  gradients: NamedArrays,
  options: AdamOptions,
): AdamState {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  const names = Object.keys(parameters);
  for (const name of names) {
    const wanted = parameters[name]!.length;
    const gradient = gradients[name];
    if (gradient?.length === wanted) continue;
    const current = gradient === undefined ? 'it is missing' : `it has ${gradient.length}`;
    throw new TypeError(
      `Cannot update parameter "${name}": a gradient of ${wanted} values is wanted: ${current}`,
    );
  }
  const step = before + 1;
  // lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps), with the corrections drawn out of the loop.
  const rate = learningRate / (1 - beta1 ** step);
  const correction = 1 / Math.sqrt(1 - beta2 ** step);
  for (const name of names) {
    const parameter = parameters[name]!;
    const gradient = gradients[name]!;
    const means = mean[name]!;
    const squares = square[name]!;
    const decay = typeof weightDecay === 'number' ? weightDecay : weightDecay(name);
    for (let i = 0; i < parameter.length; i++) {
      const p = parameter[i]!;
      const g = gradient[i]! + decay * p;
      const m = beta1 * means[i]! + (1 - beta1) * g;
      const v = beta2 * squares[i]! + (1 - beta2) * g * g;
      means[i] = m;
      squares[i] = v;
      parameter[i] = p - (rate * m) / (Math.sqrt(v) * correction + epsilon);
    }
  }
  return { step, mean, square };
}
