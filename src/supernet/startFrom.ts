/** Weights to go on with: those of another supernet of the same tensors, up to the number of classes. */
import type { ParameterSpec } from '../space/parameters.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import type { Tensor } from '../util/tensor.js';
import {
  classifierWeight,
  initialiseWeights,
  nonFiniteProblem,
  storedParameters,
  tensorProblems,
  type SupernetWeights,
} from './weights.js';

export interface StartingWeights {
  /** Of their own memory. */
  readonly weights: SupernetWeights;
  /** Whether the last layer begins anew, as the source's had other classes. */
  readonly newHead: boolean;
}

/**
 * The tensors of `source` as first weights of `space`; the classifier of another number of classes, or of `otherClasses`, is
 * initialised from the seed instead. Throws UserError listing every other tensor that is missing, unexpected or of another shape, and naming one
 * whose values are not finite; `where` names the source.
 */
export function startFrom(
  space: SearchSpace,
  source: ReadonlyMap<string, Tensor>,
  seed: number,
  where: string,
  otherClasses = false,
): StartingWeights {
  const parameters = storedParameters(space);
  const head = headNames(space);
  const newHead =
    otherClasses || parameters.some((spec) => head.has(spec.name) && hasOtherClasses(spec, source));
  const fresh = newHead ? initialiseWeights(space, seed) : undefined;
  const weights: SupernetWeights = new Map();
  for (const { name } of parameters) {
    const { shape, data } = (head.has(name) ? fresh?.get(name) : undefined) ?? source.get(name) ?? {};
    if (shape !== undefined && data !== undefined) weights.set(name, { shape, data: data.slice() });
  }
  for (const [name, tensor] of source) if (!weights.has(name)) weights.set(name, tensor);
  const problems = tensorProblems(weights, parameters);
  if (problems.length > 0) {
    throw new UserError(
      `Cannot start from ${where}: its tensors must be those of space "${space.name}":\n` +
        problems.map((problem) => `  ${problem}`).join('\n'),
    );
  }
  const notFinite = nonFiniteProblem(weights);
  if (notFinite !== undefined)
    throw new UserError(`Cannot start from ${where}: all weights must be finite numbers: ${notFinite}`);
  return { weights, newHead };
}

/** Weight and bias of the dense layer that ends in logits. */
function headNames(space: SearchSpace): ReadonlySet<string> {
  const weight = classifierWeight(space.network(space.largest));
  return new Set(weight === undefined ? [] : [weight, weight.replace(/weight$/, 'bias')]);
}

/** Whether the tensor is there and differs in its first dimension, the classes, alone. */
function hasOtherClasses({ name, shape }: ParameterSpec, source: ReadonlyMap<string, Tensor>): boolean {
  const found = source.get(name)?.shape;
  if (found === undefined || found.length !== shape.length) return false;
  return found[0] !== shape[0] && found.every((n, i) => i === 0 || n === shape[i]);
}
