/** Graphs on ONNX Runtime: the runtime that trains is the one that measures and the one users deploy on. */
import { availableParallelism } from 'node:os';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import type { Graph } from '../../graph/graph.js';
import { choiceModel } from '../../lowering/choiceModel.js';
import { onnxTarget } from '../../lowering/onnx.js';
import type { LoweringTarget } from '../../lowering/target.js';
import type { Tensor } from '../../util/tensor.js';
import type { Engine, Program, Tensors } from '../engine.js';
import { inputOf } from '../inputs.js';
import { OnnxRuntimeChoices } from './choices.js';
import { loadRuntime, type Runtime } from './runtime.js';
import type { SessionFactory } from './sessions.js';

export interface OnnxRuntimeOptions {
  /** Threads inside an operator; the processors this process may use unless given. */
  readonly threads?: number;
  readonly target?: LoweringTarget;
  /** `basic` for programs that are used a few times: fusing costs more than it saves. */
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Makes the sessions, perhaps on another provider. Default: the runtime, on the processor. */
  readonly sessions?: SessionFactory;
}

/** Throws UserError where the runtime cannot be loaded on this machine, saying why. */
export async function createOnnxRuntimeEngine(options: OnnxRuntimeOptions = {}): Promise<Engine> {
  const runtime = await loadRuntime();
  const { target = onnxTarget, threads = availableParallelism(), optimization = 'all' } = options;
  const { sessions = runtime.InferenceSession } = options;
  const sessionOptions: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: optimization,
    // One block for a whole run would be fresh memory every time, and its page faults cost a fifth of a training step.
    enableMemPattern: false,
    logSeverityLevel: 3,
    // Helper threads that wait by spinning take the core that loaders, other sessions and other processes need: a busy
    // machine pays several times over. Not spinning at all costs a quiet one a fifth. Brief spinning costs neither.
    extra: {
      session: { set_denormal_as_zero: '1', force_spinning_stop: '1', intra_op: { spin_duration_us: '100' } },
    },
  };
  return {
    name: `onnxruntime (${target.name}, ${threads} threads)`,
    compile: async (graph, { keepMemory = false } = {}) => {
      const session = await sessions.create(target.lower(graph), {
        ...sessionOptions,
        enableCpuMemArena: keepMemory,
      });
      return new OnnxRuntimeProgram(runtime, graph, session);
    },
    // Hundreds of programs are cached: few may keep their peak memory between runs.
    compileChoices: async (positions, { keepMemory = false } = {}) => {
      const model = choiceModel(positions, target);
      const session = await sessions.create(model.bytes, {
        ...sessionOptions,
        enableCpuMemArena: keepMemory,
      });
      return new OnnxRuntimeChoices(runtime, positions, model, session);
    },
    dispose: () => Promise.resolve(),
  };
}

class OnnxRuntimeProgram implements Program {
  constructor(
    private readonly runtime: Runtime,
    private readonly graph: Graph,
    private readonly session: InferenceSession,
  ) {}

  async run(inputs: Tensors): Promise<Record<string, Tensor>> {
    const feeds: Record<string, OrtTensor> = {};
    for (const [name, { shape }] of this.graph.inputs) {
      feeds[name] = new this.runtime.Tensor('float32', inputOf(inputs, name, shape).data, shape);
    }
    const results = await this.session.run(feeds);
    const outputs: Record<string, Tensor> = {};
    for (const [name, { shape }] of this.graph.outputs) {
      outputs[name] = { shape, data: results[name]!.data as Float32Array };
    }
    return outputs;
  }

  dispose(): Promise<void> {
    return this.session.release();
  }
}
