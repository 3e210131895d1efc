/** Where the time of training steps goes: by operation inside programs, by part outside them. */
import { operationOfNode, type SessionTimes } from '../engine/onnxruntime/profile.js';
import { PartTimes, type Stopwatch } from '../util/stopwatch.js';

/**
 * `data`: waiting for the next batch; `slicing`: a subnet's weights out of the supernet's; `compile`: graphs that become
 * programs; `run`: calls of programs, the programs' own time included; `scatter`: gradients back to full size; `update`: the
 * optimiser; `rest`: all else.
 */
export type StepPart = 'data' | 'slicing' | 'compile' | 'run' | 'scatter' | 'update' | 'rest';

/** Who is told where steps begin and end. The stopwatch runs only between the two. */
export interface StepObserver {
  readonly stopwatch: Stopwatch<StepPart>;
  /** Before the step's batch is asked for. */
  beginStep(): void;
  /** After the update; what follows (metrics, validation, checkpoints) belongs to no step. */
  endStep(phase: string): void;
}

/** What profiles programs while they run in steps that count. */
export interface ProgramProfiler {
  counting: boolean;
  finish(): Promise<readonly SessionTimes[]>;
}

export interface OperatorTime {
  /** ONNX operator. */
  readonly operator: string;
  /** Execution provider, as ONNX Runtime calls it. */
  readonly provider: string;
  readonly ms: number;
  readonly calls: number;
}

export interface OperationTime {
  /** Of the graph; `other` for nodes that come from none: branches, copies, what the runtime put in. */
  readonly operation: string;
  readonly ms: number;
  readonly calls: number;
  readonly operators: readonly OperatorTime[];
}

/** Times and calls are means a step. */
export interface TrainingProfile {
  /** Steps that count, and those before them that do not. */
  readonly steps: number;
  readonly warmupSteps: number;
  /** Phases that the steps were of. */
  readonly phases: readonly string[];
  readonly batchSize: number;
  readonly stepMs: number;
  readonly imagesPerSecond: number;
  /** Inside kernels, the longest first; with what is in `outside` they add up to `stepMs`. */
  readonly operations: readonly OperationTime[];
  readonly outside: {
    /** In the runtime between two kernels; taking times is a part of it. */
    readonly betweenKernelsMs: number;
    /** Around the runtime: its call, and results that become JavaScript's. */
    readonly callsMs: number;
    readonly compileMs: number;
    readonly dataMs: number;
    readonly slicingMs: number;
    readonly scatterMs: number;
    readonly updateMs: number;
    readonly restMs: number;
  };
}

export interface StepProfilerOptions {
  /** Steps that do not count: the first ones create nearly all programs. */
  readonly warmupSteps: number;
  readonly clock?: () => number;
}

export class StepProfiler implements StepObserver {
  readonly stopwatch: Stopwatch<StepPart>;
  private readonly times: PartTimes<StepPart>;
  private readonly phases = new Set<string>();
  private steps = 0;
  private endRest: (() => void) | undefined;

  /** `programs`: undefined where the engine has no profile; then programs are one figure. */
  constructor(
    private readonly options: StepProfilerOptions,
    private programs?: ProgramProfiler,
  ) {
    this.times = new PartTimes(options.clock ?? (() => performance.now()));
    this.stopwatch = {
      begin: (part) => (this.endRest === undefined ? () => undefined : this.times.begin(part)),
    };
  }

  /** The programs' profiler is made with this stopwatch, so it comes later. */
  watch(programs: ProgramProfiler): void {
    this.programs = programs;
  }

  beginStep(): void {
    const counts = this.steps >= this.options.warmupSteps;
    if (this.steps === this.options.warmupSteps) this.times.reset();
    if (this.programs !== undefined) this.programs.counting = counts;
    this.endRest = this.times.begin('rest');
  }

  endStep(phase: string): void {
    this.endRest?.();
    this.endRest = undefined;
    if (this.programs !== undefined) this.programs.counting = false;
    if (this.steps >= this.options.warmupSteps) this.phases.add(phase);
    this.steps++;
  }

  /** Ends the profiling. Undefined where no step counts. */
  async finish(batchSize: number): Promise<TrainingProfile | undefined> {
    const sessions = (await this.programs?.finish()) ?? [];
    const { warmupSteps } = this.options;
    const steps = this.steps - warmupSteps;
    if (steps <= 0) return undefined;
    const parts = this.times.read();
    return {
      steps,
      warmupSteps,
      phases: [...this.phases],
      batchSize,
      ...summary(parts, sessions, steps, batchSize),
    };
  }
}

function summary(
  parts: ReadonlyMap<StepPart, number>,
  sessions: readonly SessionTimes[],
  steps: number,
  batchSize: number,
): Pick<TrainingProfile, 'stepMs' | 'imagesPerSecond' | 'operations' | 'outside'> {
  const part = (name: StepPart): number => (parts.get(name) ?? 0) / steps;
  const stepMs = [...parts.values()].reduce((sum, ms) => sum + ms, 0) / steps;
  const operations = operationTimes(sessions, steps);
  const kernelsMs = operations.reduce((sum, { ms }) => sum + ms, 0);
  const runMs = sessions.reduce((sum, { runMicroseconds }) => sum + runMicroseconds, 0) / 1000 / steps;
  return {
    stepMs,
    imagesPerSecond: (1000 * batchSize) / stepMs,
    operations,
    outside: {
      betweenKernelsMs: runMs - kernelsMs,
      callsMs: part('run') - runMs,
      compileMs: part('compile'),
      dataMs: part('data'),
      slicingMs: part('slicing'),
      scatterMs: part('scatter'),
      updateMs: part('update'),
      restMs: part('rest'),
    },
  };
}

/** Of all sessions together, a step, the longest first. */
function operationTimes(sessions: readonly SessionTimes[], steps: number): OperationTime[] {
  const groups = new Map<string, Map<string, { provider: string; ms: number; calls: number }>>();
  for (const { node, opType, provider, calls, microseconds } of sessions.flatMap(({ nodes }) => nodes)) {
    const operation = operationOfNode(node) ?? 'other';
    const operators =
      groups.get(operation) ?? new Map<string, { provider: string; ms: number; calls: number }>();
    groups.set(operation, operators);
    const key = `${opType} ${provider}`;
    const sum = operators.get(key) ?? { provider, ms: 0, calls: 0 };
    operators.set(key, sum);
    sum.ms += microseconds / 1000 / steps;
    sum.calls += calls / steps;
  }
  const longest = (a: { ms: number }, b: { ms: number }): number => b.ms - a.ms;
  return [...groups]
    .map(([operation, sums]) => {
      const operators = [...sums]
        .map(([key, sum]) => ({ operator: key.split(' ')[0]!, ...sum }))
        .sort(longest);
      return {
        operation,
        ms: operators.reduce((total, { ms }) => total + ms, 0),
        calls: operators.reduce((total, { calls }) => total + calls, 0),
        operators,
      };
    })
    .sort(longest);
}
