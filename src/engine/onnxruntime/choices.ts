/** Chains of choices on ONNX Runtime: one session for all of them. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { choiceName, type Choice, type ChoicePosition } from '../../graph/choices.js';
import type { ChoiceModel } from '../../lowering/choiceModel.js';
import type { Tensor } from '../../util/tensor.js';
import type { ChoiceProgram, Tensors } from '../engine.js';
import { inputOf } from '../inputs.js';
import type { Runtime } from './runtime.js';

export class OnnxRuntimeChoices implements ChoiceProgram {
  private readonly tensors: ReadonlyMap<string, string>;
  /** What positions that are left out, or variants that do not read an input, are fed. */
  private readonly nothing: OrtTensor;

  constructor(
    private readonly runtime: Runtime,
    private readonly positions: readonly ChoicePosition[],
    private readonly model: ChoiceModel,
    private readonly session: InferenceSession,
  ) {
    this.tensors = new Map([...model.outputs].map(([tensor, name]) => [name, tensor]));
    this.nothing = new runtime.Tensor('float32', new Float32Array(0), [0]);
  }

  async run(inputs: Tensors, choices: readonly Choice[]): Promise<Record<string, Tensor>> {
    const feeds: Record<string, OrtTensor> = {};
    for (const name of this.session.inputNames) feeds[name] = this.nothing;
    const wanted: { name: string; tensor: string; shape: readonly number[] }[] = [];
    this.positions.forEach((position, i) => {
      const choice = choices[i];
      for (const [name, value] of this.model.selectors(i, choice)) {
        feeds[name] = new this.runtime.Tensor('bool', Uint8Array.of(value ? 1 : 0), []);
      }
      if (choice === undefined && position.optional) return;
      const graph = position.variants[choice ?? -1];
      if (graph === undefined) {
        throw new RangeError(
          `Cannot run the program: position "${position.name}" must hold one of its ${position.variants.length} variants: the choice is ${choice}`,
        );
      }
      for (const [own, { shape }] of graph.inputs) {
        const name = choiceName(position.name, own);
        if (name in feeds)
          feeds[name] = new this.runtime.Tensor('float32', inputOf(inputs, name, shape).data, shape);
      }
      for (const [own, { shape }] of graph.outputs) {
        const name = choiceName(position.name, own);
        const tensor = this.tensors.get(name);
        if (tensor !== undefined) wanted.push({ name, tensor, shape });
      }
    });
    const results = await this.session.run(
      feeds,
      wanted.map(({ tensor }) => tensor),
    );
    return Object.fromEntries(
      wanted.map(({ name, tensor, shape }) => [name, { shape, data: results[tensor]!.data as Float32Array }]),
    );
  }

  dispose(): Promise<void> {
    return this.session.release();
  }
}
