/**
 * Gradient boosting of regression trees with squared error (Friedman, "Greedy function approximation: a gradient boosting
 * machine", 2001, algorithm 2). Splits are exact: every threshold between two values that differ, half-way. Own code, as
 * those of the npm registry are bindings to native libraries or unmaintained; `test/latency/boostedTrees.test.ts`
 * compares it with scikit-learn's.
 */
import { z } from 'zod';
import type { Learner } from './learner.js';

export interface BoostingSettings {
  readonly trees: number;
  readonly learningRate: number;
  /** Splits from the root to a leaf, at most. */
  readonly depth: number;
  /** Examples in a leaf, at least. */
  readonly minLeaf: number;
}

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

interface Split {
  readonly feature: number;
  readonly threshold: number;
  readonly gain: number;
}

/** Examples of a node by every feature's order. */
type Sorted = readonly Int32Array[];

class TreeGrower {
  constructor(
    private readonly columns: readonly Float64Array[],
    private readonly settings: BoostingSettings,
  ) {}

  /** Best split of the examples by the decrease of squared error; undefined where none separates them. */
  private bestSplit(sorted: Sorted, residuals: Float64Array): Split | undefined {
    const { minLeaf } = this.settings;
    const count = sorted[0]!.length;
    if (count < 2 * minLeaf) return undefined;
    let sum = 0;
    for (const i of sorted[0]!) sum += residuals[i]!;
    const base = (sum * sum) / count;
    // Rounding must not split what is constant.
    let best: Split | undefined;
    let bestGain = 1e-12 * Math.max(1, Math.abs(base));
    for (let feature = 0; feature < sorted.length; feature++) {
      const order = sorted[feature]!;
      const column = this.columns[feature]!;
      let left = 0;
      for (let k = 0; k < count - minLeaf; k++) {
        left += residuals[order[k]!]!;
        if (k + 1 < minLeaf) continue;
        const value = column[order[k]!]!;
        const next = column[order[k + 1]!]!;
        if (value === next) continue;
        const right = sum - left;
        const gain = (left * left) / (k + 1) + (right * right) / (count - k - 1) - base;
        if (gain <= bestGain) continue;
        bestGain = gain;
        // Where the middle rounds to the greater value, that must still go right.
        const middle = value + (next - value) / 2;
        best = { feature, threshold: middle < next ? middle : value, gain };
      }
    }
    return best;
  }

  /** A tree that approximates the residuals; adds what it predicts for each example to `predictions`. */
  grow(root: Sorted, residuals: Float64Array, predictions: Float64Array): TreeNode[] {
    const { depth, learningRate } = this.settings;
    const nodes: TreeNode[] = [{ feature: -1, value: 0, left: 0 }];
    const queue: { at: number; level: number; sorted: Sorted }[] = [{ at: 0, level: 0, sorted: root }];
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      const { at, level, sorted } = item;
      const split = level < depth ? this.bestSplit(sorted, residuals) : undefined;
      if (split === undefined) {
        const members = sorted[0]!;
        let sum = 0;
        for (const i of members) sum += residuals[i]!;
        const value = (learningRate * sum) / members.length;
        nodes[at] = { feature: -1, value, left: 0 };
        for (const i of members) predictions[i]! += value;
        continue;
      }
      const column = this.columns[split.feature]!;
      const left = nodes.length;
      nodes[at] = { feature: split.feature, value: split.threshold, left };
      nodes.push({ feature: -1, value: 0, left: 0 }, { feature: -1, value: 0, left: 0 });
      const side = (goesLeft: boolean): Sorted =>
        sorted.map((order) => order.filter((i) => column[i]! <= split.threshold === goesLeft));
      queue.push(
        { at: left, level: level + 1, sorted: side(true) },
        { at: left + 1, level: level + 1, sorted: side(false) },
      );
    }
    return nodes;
  }
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
      const n = rows.length;
      const columns = Array.from({ length: rows[0]!.length }, (_, j) =>
        Float64Array.from(rows, (row) => row[j]!),
      );
      const sorted = columns.map((column) =>
        Int32Array.from({ length: n }, (_, i) => i).sort((a, b) => column[a]! - column[b]! || a - b),
      );
      const start = targets.reduce((sum, target) => sum + target, 0) / n;
      const predictions = new Float64Array(n).fill(start);
      const residuals = new Float64Array(n);
      const grower = new TreeGrower(columns, settings);
      const trees: BoostedTrees['trees'] = [];
      for (let t = 0; t < settings.trees; t++) {
        for (let i = 0; i < n; i++) residuals[i] = targets[i]! - predictions[i]!;
        const [root, ...others] = grower.grow(sorted, residuals, predictions);
        trees.push([root!, ...others]);
      }
      return { start, trees };
    },
    predict: ({ start, trees }, row) => trees.reduce((total, nodes) => total + leafValue(nodes, row), start),
  };
}
