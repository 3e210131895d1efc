/**
 * Small networks fitted on architectures that answer for any point between them, with gradients: what a differentiable
 * search climbs.
 */
import type { Engine } from '../engine/engine.js';
import { BatchedProgram } from './batchedProgram.js';
import { fitEnsemble } from './predictors/mlpEnsemble.js';
import { mlpInputGradientGraph, mlpParameters } from './predictors/mlpGraph.js';

export interface RelaxedEnsembleOptions {
  /** One-hot vectors of architectures, row-major [count, width]. */
  readonly rows: Float32Array;
  readonly width: number;
  /** [count], about mean 0 and deviation 1. */
  readonly targets: Float32Array;
  readonly members: number;
  readonly engine: Engine;
  readonly seed: number;
}

/** One of several networks that were fitted from seeds of their own. */
export interface RelaxedMember {
  /** Values [count] of rows [count, width], and their gradients in the rows [count, width]. */
  gradient(
    rows: Float32Array,
    count: number,
  ): Promise<{ readonly values: Float32Array; readonly gradients: Float32Array }>;
}

export interface RelaxedEnsemble {
  readonly members: readonly RelaxedMember[];
  dispose(): Promise<void>;
}

const WIDTH = 64;
const LAYERS = 2;
const BATCH = 32;
const STEPS = 200;

/** Deterministic for its arguments. */
export async function fitRelaxedEnsemble(options: RelaxedEnsembleOptions): Promise<RelaxedEnsemble> {
  const { rows, width, targets, members, engine, seed } = options;
  const count = targets.length;
  const recipe = {
    width: WIDTH,
    layers: LAYERS,
    members,
    batch: BATCH,
    learningRate: 5e-3,
    // As of the predictor `mlp`: a prior counts less the more samples there are.
    weightDecay: Math.min(0.02, 1 / count),
    steps: STEPS,
  };
  const model = await fitEnsemble({ rows, width, count, targets, labels: [] }, recipe, {
    engine,
    seed,
    loss: 'squared',
  });
  const shape = { inputs: width, width: WIDTH, layers: LAYERS };
  const programs = Array.from({ length: members }, (_, member) => {
    const parameters = Object.fromEntries(
      [...mlpParameters(shape).keys()].map((name) => [
        name,
        model.tensors.get(`member${member}.${name}`)!.data,
      ]),
    );
    return new BatchedProgram(engine, width, (batch) => mlpInputGradientGraph(shape, batch, parameters));
  });
  await model.dispose();
  return {
    members: programs.map((program) => ({
      async gradient(points, n) {
        const { y = new Float32Array(), gradient = new Float32Array() } = await program.run(points, n);
        return { values: y, gradients: gradient };
      },
    })),
    async dispose() {
      for (const program of programs) await program.dispose();
    },
  };
}
