/**
 * Gradient boosting of regression trees with squared error (src/util/gradientBoosting.ts) on all examples, in float64, as a
 * learner whose state is plain data.
 */
import { z } from 'zod';
import { boost, type BoostingSettings } from '../../util/gradientBoosting.js';
import type { Forest } from '../../util/regressionTree.js';
import type { Learner } from './learner.js';

/** Nodes in a list, the root first. A leaf has feature -1; its `value` is what the tree adds, learning rate included. */
const nodeSchema = z.strictObject({
  feature: z.number().int().min(-1),
  /** Of a node with a feature: values up to this go to `left`, others to `left + 1`. Of a leaf: what it predicts. */
  value: z.number(),
  left: z.number().int().nonnegative(),
});
type TreeNode = z.infer<typeof nodeSchema>;

const stateSchema = z
  .strictObject({ start: z.number(), trees: z.array(z.array(nodeSchema).nonempty()) })
  .refine(
    // Children come after their parent, so that a prediction ends.
    ({ trees }) =>
      trees.every((nodes) =>
        nodes.every(({ feature, left }, i) => feature < 0 || (left > i && left + 1 < nodes.length)),
      ),
    'nodes must point to later nodes',
  );
export type BoostedTrees = z.infer<typeof stateSchema>;

/** The nodes of every tree by themselves. */
function treesOf({ roots, places, thresholds, lefts, values }: Forest): BoostedTrees['trees'] {
  const nodeAt = (index: number, root: number): TreeNode => {
    const feature = places[index]!;
    if (feature < 0) return { feature, value: values[index]!, left: 0 };
    return { feature, value: thresholds[index]!, left: lefts[index]! - root };
  };
  return roots.map((root, tree) => {
    const end = roots[tree + 1] ?? places.length;
    const others = Array.from({ length: end - root - 1 }, (_, i) => nodeAt(root + 1 + i, root));
    return [nodeAt(root, root), ...others];
  });
}

function leafValue(nodes: readonly TreeNode[], row: readonly number[]): number {
  let node = nodes[0]!;
  while (node.feature >= 0) node = nodes[row[node.feature]! <= node.value ? node.left : node.left + 1]!;
  return node.value;
}

export function boostedTrees(settings: BoostingSettings): Learner<BoostedTrees> {
  return {
    schema: stateSchema,
    fit(rows, targets) {
      const start = targets.reduce((sum, target) => sum + target, 0) / rows.length;
      const centred = targets.map((target) => target - start);
      const flat = Float64Array.from(rows.flat());
      return { start, trees: treesOf(boost(flat, centred, rows[0]!.length, settings)) };
    },
    predict: ({ start, trees }, row) => trees.reduce((total, nodes) => total + leafValue(nodes, row), start),
  };
}
