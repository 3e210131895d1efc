import { describe, expect, it } from 'vitest';
import type { SessionTimes } from '../../src/engine/onnxruntime/profile.js';
import { StepProfiler, type ProgramProfiler } from '../../src/training/profile.js';

const node = (name: string, opType: string, calls: number, microseconds: number) => ({
  node: name,
  opType,
  provider: 'CPUExecutionProvider',
  calls,
  microseconds,
});

describe('StepProfiler', () => {
  it('divides the time of the steps that count among operations and parts', async () => {
    let now = 0;
    const pass = (ms: number): void => void (now += ms);
    const counted: boolean[] = [];
    const sessions: SessionTimes[] = [
      {
        runs: 4,
        runMicroseconds: 40_000,
        nodes: [
          node('a/conv2d/Conv', 'Conv', 4, 20_000),
          node('a/conv2d/ReorderInput', 'ReorderInput', 4, 4_000),
          node('b/conv2d/Conv_1', 'Conv', 4, 6_000),
          node('Transpose_1', 'Transpose', 4, 2_000),
        ],
      },
      { runs: 2, runMicroseconds: 4_000, nodes: [node('c/matmul', 'MatMul', 2, 3_000)] },
    ];
    const programs: ProgramProfiler = { counting: false, finish: () => Promise.resolve(sessions) };
    const profiler = new StepProfiler({ warmupSteps: 2, clock: () => now }, programs);
    const part = (name: Parameters<typeof profiler.stopwatch.begin>[0], ms: number): void => {
      const over = profiler.stopwatch.begin(name);
      pass(ms);
      over();
    };
    for (let step = 0; step < 4; step++) {
      profiler.beginStep();
      part('data', 3);
      counted.push(programs.counting);
      pass(1);
      part('compile', step === 2 ? 10 : 0);
      part('slicing', 2);
      part('run', 23);
      part('scatter', 4);
      part('update', 5);
      profiler.endStep(step < 3 ? 'first' : 'second');
      // Validation and the like.
      counted.push(programs.counting);
      part('run', 1000);
    }
    expect(counted).toEqual([false, false, false, false, true, false, true, false]);
    const profile = (await profiler.finish(32))!;
    expect(profile).toEqual({
      steps: 2,
      warmupSteps: 2,
      phases: ['first', 'second'],
      batchSize: 32,
      stepMs: 43,
      imagesPerSecond: (32 * 1000) / 43,
      operations: [
        {
          operation: 'conv2d',
          ms: 15,
          calls: 6,
          operators: [
            { operator: 'Conv', provider: 'CPUExecutionProvider', ms: 13, calls: 4 },
            { operator: 'ReorderInput', provider: 'CPUExecutionProvider', ms: 2, calls: 2 },
          ],
        },
        {
          operation: 'matmul',
          ms: 1.5,
          calls: 1,
          operators: [{ operator: 'MatMul', provider: 'CPUExecutionProvider', ms: 1.5, calls: 1 }],
        },
        {
          operation: 'other',
          ms: 1,
          calls: 2,
          operators: [{ operator: 'Transpose', provider: 'CPUExecutionProvider', ms: 1, calls: 2 }],
        },
      ],
      outside: {
        betweenKernelsMs: 22 - 17.5,
        callsMs: 1,
        compileMs: 5,
        dataMs: 3,
        slicingMs: 2,
        scatterMs: 4,
        updateMs: 5,
        restMs: 1,
      },
    });
    const outside = Object.values(profile.outside).reduce((sum, ms) => sum + ms, 0);
    const inside = profile.operations.reduce((sum, { ms }) => sum + ms, 0);
    expect(inside + outside).toBeCloseTo(profile.stepMs, 9);
  });

  it('has nothing to say where no step counts', async () => {
    const profiler = new StepProfiler({ warmupSteps: 1 });
    profiler.beginStep();
    profiler.endStep('only');
    expect(await profiler.finish(1)).toBeUndefined();
  });
});
