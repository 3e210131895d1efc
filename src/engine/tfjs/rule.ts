/** What a rule is: one operation by TensorFlow.js's kernels. */
import type { Operation } from '../../graph/graph.js';
import type { Shape } from '../../util/tensor.js';
import type { Layout } from './layout.js';
import type { TensorFlow, TfTensor } from './tensorflow.js';

export interface TfjsCall<A> {
  readonly tf: TensorFlow;
  readonly attributes: A;
  /** Of operands and results as the graph has them, whatever the layout. */
  readonly inputShapes: readonly Shape[];
  readonly outputShapes: readonly Shape[];
  /** Of the results. */
  readonly layout: Layout;
}

/** An operand before its rule has said how it wants it. */
export interface Operand {
  readonly shape: Shape;
  readonly layout: Layout;
}

/** Layouts that a rule takes its operands in, and gives its results in; those of other than four axes are always plain. */
export interface LayoutChoice {
  readonly inputs: readonly Layout[];
  readonly output: Layout;
}
export type Layouts = (operands: readonly Operand[]) => LayoutChoice;

export interface TfjsRule {
  readonly operation: string;
  readonly layouts: Layouts;
  /** The results; what else it makes is disposed of by the caller's `tf.tidy`. */
  readonly compute: (call: TfjsCall<unknown>, inputs: readonly TfTensor[]) => readonly TfTensor[];
}

/** A rule whose attributes have the operation's type. */
export function rule<A>(
  operation: Operation<A>,
  layouts: Layouts,
  compute: (call: TfjsCall<A>, inputs: readonly TfTensor[]) => TfTensor | readonly TfTensor[],
): TfjsRule {
  return {
    operation: operation.name,
    layouts,
    compute: (call, inputs) => {
      const results = compute(call as TfjsCall<A>, inputs);
      return isList(results) ? results : [results];
    },
  };
}

const isList = (results: TfTensor | readonly TfTensor[]): results is readonly TfTensor[] =>
  Array.isArray(results);

const all =
  (layout: Layout): Layouts =>
  (operands) => ({ inputs: operands.map(() => layout), output: layout });

export const plain = all('plain');
export const channelsLast = all('channelsLast');

/** As the operands are: plain, unless they are images all of them and one has its channels last already. */
export const asOperands: Layouts = (operands) => {
  const images = operands.every(({ shape }) => shape.length === 4);
  const turned = operands.some(({ layout }) => layout === 'channelsLast');
  return (images && turned ? channelsLast : plain)(operands);
};

/** Always the same ones. */
export const fixed =
  (inputs: readonly Layout[], output: Layout): Layouts =>
  () => ({ inputs, output });
