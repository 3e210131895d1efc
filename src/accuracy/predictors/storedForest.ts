/** Forests as tensors of a stored predictor. */
import { UserError } from '../../util/errors.js';
import { flatten, type FlatForest } from '../../util/regressionTree.js';
import { tensor, type Tensor } from '../../util/tensor.js';
import type { StoredModel } from '../definePredictor.js';

const parts = ['roots', 'places', 'thresholds', 'lefts', 'values'] as const;

export function forestTensors(forest: FlatForest): Map<string, Tensor> {
  return new Map(parts.map((name) => [name, tensor([forest[name].length], Float32Array.from(forest[name]))]));
}

/** Throws UserError where the tensors are no forest over `stored.width` places: what is asked always comes to a leaf. */
export function storedForest(
  predictor: string,
  stored: StoredModel,
  trees: number,
  nodes: number,
): FlatForest {
  const read = (name: (typeof parts)[number], length: number): Float32Array => stored.tensor(name, [length]);
  const forest = flatten({
    roots: [...read('roots', trees)],
    places: [...read('places', nodes)],
    thresholds: [...read('thresholds', nodes)],
    lefts: [...read('lefts', nodes)],
    values: [...read('values', nodes)],
  });
  const isNode = (index: number): boolean => index >= 0 && index < nodes;
  const sound =
    forest.roots.every(isNode) &&
    forest.places.every(
      (place, node) =>
        place === -1 ||
        (place >= 0 && place < stored.width && forest.lefts[node]! > node && isNode(forest.lefts[node]! + 1)),
    );
  if (sound) return forest;
  throw new UserError(
    `Cannot restore accuracy predictor "${predictor}": nodes of its trees must ask places of the encoding and point to later nodes: some do not`,
  );
}
