/** Profiles as ONNX Runtime writes them: of real sessions, and event by event. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { defaultTarget } from '../../../src/engine/onnxruntime/defaultTarget.js';
import { createOnnxRuntimeEngine } from '../../../src/engine/onnxruntime/engine.js';
import { operationOfNode, ProfileSums, readProfile } from '../../../src/engine/onnxruntime/profile.js';
import { fallbacks, FallbackReport, providerConfig } from '../../../src/engine/onnxruntime/providers.js';
import { loadRuntime } from '../../../src/engine/onnxruntime/runtime.js';
import { plainSessions, ProfiledSessions } from '../../../src/engine/onnxruntime/sessions.js';
import { ProgramCache } from '../../../src/engine/programCache.js';
import { GraphBuilder, type Graph } from '../../../src/graph/graph.js';
import { backwardGraph } from '../../../src/graph/network.js';
import { maxPool } from '../../../src/graph/operations/maxPool.js';
import { differentiate } from '../../../src/graph/differentiate.js';
import { onnxTarget } from '../../../src/lowering/onnx.js';
import { SubnetChoices } from '../../../src/supernet/choices.js';
import { SubnetExecutor } from '../../../src/supernet/executor.js';
import { sumInto } from '../../../src/supernet/slicing.js';
import { initialiseWeights, zeroTensors } from '../../../src/supernet/weights.js';
import { trainableParameters } from '../../../src/training/state.js';
import { UserError } from '../../../src/util/errors.js';
import { silentLogger } from '../../../src/util/logger.js';
import { createRandom } from '../../../src/util/random.js';
import { sizeOf, tensor, type Tensor } from '../../../src/util/tensor.js';
import { tinySpace } from '../../training/support/runs.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-profiles-'));
});
afterAll(() => rm(folder, { recursive: true }));

const space = tinySpace({ imageSizes: [8] });
const { blocks } = space.network(space.largest);
const step = (): Graph => backwardGraph(blocks, 4, { loss: true, inputGradient: false });
const feedsOf = (graph: Graph): Record<string, Tensor> =>
  Object.fromEntries(
    [...graph.inputs].map(([name, { shape }]) => [
      name,
      tensor(shape, new Float32Array(sizeOf(shape)).fill(0.1)),
    ]),
  );

describe('profiled sessions', () => {
  afterEach(() => vi.unstubAllEnvs());

  it.each(['onnx', 'the default'])(
    '%s target: runs that count, and every node of an operation',
    async (name) => {
      const temporary = await mkdtemp(join(folder, 'tmp-'));
      for (const variable of ['TMPDIR', 'TMP', 'TEMP']) vi.stubEnv(variable, temporary);
      const target = name === 'onnx' ? onnxTarget : await defaultTarget();
      const sessions = await ProfiledSessions.open(plainSessions(await loadRuntime()));
      const engine = await createOnnxRuntimeEngine({ threads: 1, optimization: 'basic', target, sessions });
      const graph = step();
      const [program, other, idle] = [
        await engine.compile(graph),
        await engine.compile(graph),
        await engine.compile(graph),
      ];
      const feeds = feedsOf(graph);
      const first = await program.run(feeds);
      sessions.counting = true;
      await program.run(feeds);
      await other.run(feeds);
      await other.dispose();
      sessions.counting = false;
      await program.run(feeds);
      sessions.counting = true;
      await program.run(feeds);
      const [ofOther, ofProgram, ...rest] = await sessions.finish();
      // The third was never run.
      expect(rest).toEqual([]);
      expect(ofOther!.runs).toBe(1);
      expect(ofProgram!.runs).toBe(2);

      const operations = new Set(graph.nodes.map(({ operation }) => operation.name));
      const seen = new Set<string>();
      for (const { nodes, runs, runMicroseconds } of [ofOther!, ofProgram!]) {
        expect(nodes.length).toBeGreaterThan(20);
        for (const { node, calls, provider } of nodes) {
          expect(calls, node).toBe(runs);
          expect(provider).toBe('CPUExecutionProvider');
          const operation = operationOfNode(node);
          if (operation !== undefined) seen.add(operation);
        }
        const inKernels = nodes.reduce((sum, { microseconds }) => sum + microseconds, 0);
        expect(inKernels).toBeGreaterThan(0);
        expect(inKernels).toBeLessThanOrEqual(runMicroseconds);
      }
      expect([...seen].filter((operation) => !operations.has(operation))).toEqual([]);
      for (const wanted of ['conv2d', 'conv2dWeightGradient', 'batchNormGradient', 'crossEntropy'])
        if (operations.has(wanted)) expect([...seen]).toContain(wanted);

      // Sessions go on, unprofiled, and so do new ones.
      const again = await program.run(feeds);
      expect(again['loss']!.data).toEqual(first['loss']!.data);
      const late = await engine.compile(graph);
      expect((await late.run(feeds))['loss']!.data).toEqual(first['loss']!.data);
      for (const each of [program, idle, late]) await each.dispose();
      expect(await readdir(temporary)).toHaveLength(1);
      await sessions.close();
      expect(await readdir(temporary)).toEqual([]);
    },
  );
});

it('choices inside a program: branches hold no time of the nodes inside them', async () => {
  const sessions = await ProfiledSessions.open(plainSessions(await loadRuntime()));
  const target = await defaultTarget();
  const engine = await createOnnxRuntimeEngine({ threads: 1, optimization: 'basic', target, sessions });
  const executor = new SubnetExecutor(new ProgramCache(engine));
  const partition = SubnetChoices.of(space, space.genes, 8);
  const gradients = zeroTensors(trainableParameters(space));
  const [images, targets] = [tensor([4, 1, 8, 8]), tensor([4, 10])];
  sessions.counting = true;
  for (const arch of [space.largest, space.smallest]) {
    const network = space.network(arch);
    const random = createRandom('choices');
    await executor.step(initialiseWeights(space, 0), network, images, targets, sumInto(gradients), {
      partition,
      random,
    });
  }
  const [times, ...rest] = await sessions.finish();
  await sessions.close();
  expect(rest).toEqual([]);
  const { runs, runMicroseconds, nodes } = times!;
  expect(runs).toBe(2);
  expect(nodes.some(({ opType }) => opType === 'If')).toBe(true);
  expect(nodes.reduce((sum, { microseconds }) => sum + microseconds, 0)).toBeLessThanOrEqual(runMicroseconds);
  const operations = new Set(nodes.map(({ node }) => operationOfNode(node)));
  for (const wanted of ['conv2d', 'conv2dWeightGradient', 'batchNormGradient', 'logSoftmax'])
    expect([...operations]).toContain(wanted);
});

const event = (cat: string, name: string, ts: number, dur: number, args: object = {}): string =>
  `${JSON.stringify({ cat, pid: 1, tid: 1, ts, dur, ph: 'X', name, args })},`;
const kernel = (node: string, ts: number, dur: number, provider = 'CPUExecutionProvider'): string =>
  event('Node', `${node}_kernel_time`, ts, dur, { op_name: node.split('/').at(-1)!, provider });

describe('ProfileSums', () => {
  it('gives a branch what is not in the nodes inside it', () => {
    const sums = new ProfileSums();
    for (const line of [
      '[',
      kernel('a/Add', 0, 10),
      kernel('b/Mul', 21, 5),
      kernel('c/Relu', 30, 20),
      kernel('inner/If', 20, 35),
      kernel('d/Exp', 60, 4),
      kernel('outer/If', 15, 60),
      kernel('e/Sub', 80, 7),
      event('Session', 'model_run', 0, 100),
      ']',
    ])
      sums.add(line);
    const { nodes, runs, runMicroseconds } = sums.times();
    expect([runs, runMicroseconds]).toEqual([1, 100]);
    expect(
      Object.fromEntries(nodes.map(({ opType, node, microseconds }) => [`${node} ${opType}`, microseconds])),
    ).toEqual({
      'a/Add Add': 10,
      'b/Mul Mul': 5,
      'c/Relu Relu': 20,
      'inner/If If': 10,
      'd/Exp Exp': 4,
      'outer/If If': 21,
      'e/Sub Sub': 7,
    });
  });

  it('takes what the device took where that is known, for the runs that count', () => {
    const sums = new ProfileSums((run) => run > 0);
    for (const ts of [0, 100, 200]) {
      sums.add(kernel('a/Conv', ts, 5, 'WebGpuExecutionProvider'));
      sums.add(kernel('b/Reshape', ts + 6, 2, 'WebGpuExecutionProvider'));
      sums.add(event('Session', 'model_run', ts, 50));
    }
    for (const dur of [30, 40, 50]) sums.add(event('Api', 'a/Conv&Conv&Conv2DMatMul', 1000, dur));
    expect(sums.times()).toEqual({
      runs: 2,
      runMicroseconds: 100,
      nodes: [
        { node: 'a/Conv', opType: 'Conv', provider: 'WebGpuExecutionProvider', calls: 2, microseconds: 80 },
        {
          node: 'b/Reshape',
          opType: 'Reshape',
          provider: 'WebGpuExecutionProvider',
          calls: 2,
          microseconds: 4,
        },
      ],
    });
  });

  it('refuses what is no event, in one line', () => {
    for (const line of [
      '{}',
      '{"cat":"Node"}',
      'nonsense',
      '{"cat":"Node","name":"x","ts":0,"dur":-1},',
      '17',
    ]) {
      expect(() => new ProfileSums().add(line)).toThrow(UserError);
    }
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        try {
          new ProfileSums().add(line);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
          expect((error as Error).message).not.toContain('\n');
        }
      }),
    );
  });
});

it('a file that is not there, or is cut off, is a UserError', async () => {
  await expect(readProfile(join(folder, 'none.json'))).rejects.toThrow(UserError);
  const path = join(folder, 'cut.json');
  await writeFile(path, `[\n${kernel('a/Add', 0, 1)}\n{"cat" : "Node","pid" :12`);
  await expect(readProfile(path)).rejects.toThrow('Cannot read a profile of ONNX Runtime');
  expect(existsSync(path)).toBe(true);
});

it('operationOfNode reads the names that targets give', () => {
  const names: Record<string, string | undefined> = {
    'stage0.block1/expand/conv2d': 'conv2d',
    'stage0.block1/expand/conv2d_2': 'conv2d',
    'stage0.block1/expand/conv2d/ReorderInput_17': 'conv2d',
    'gradient/stage0.block1/expandNorm/batchNorm/batchNormGradient_1/Mul': 'batchNormGradient',
    'gradient/matmul_1_token_3': 'matmul',
    '12:matmul/Gemm': 'matmul',
    '3:affine': 'affine',
    conv2d: 'conv2d',
    'stage0.block1 14': undefined,
    'copy 3': undefined,
    Transpose_token_223: undefined,
    '': undefined,
  };
  for (const [name, operation] of Object.entries(names)) expect(operationOfNode(name), name).toBe(operation);
});

describe('providers', () => {
  const node = (opType: string, provider: string) => ({
    node: opType,
    opType,
    provider,
    calls: 1,
    microseconds: 1,
  });
  const nodes = [
    node('LogSoftmax', 'CPUExecutionProvider'),
    node('LogSoftmax', 'CPUExecutionProvider'),
    node('MemcpyToHost', 'CPUExecutionProvider'),
    node('Conv', 'WebGpuExecutionProvider'),
  ];

  it('what runs on the processor in place of a provider is told once', () => {
    expect(fallbacks('webgpu', nodes)).toEqual(['LogSoftmax']);
    expect(fallbacks('cpu', nodes)).toEqual([]);
    const told: string[] = [];
    const report = new FallbackReport('webgpu', {
      ...silentLogger,
      warn: (message) => void told.push(message),
    });
    report.add(nodes);
    report.add([...nodes, node('Round', 'CPUExecutionProvider')]);
    expect(told).toEqual(
      ['LogSoftmax', 'Round'].map(
        (name) => `${name} runs on the CPU, wholly or in part: provider "webgpu" lacks a kernel for it`,
      ),
    );
  });

  it('keeps pools that tell where their maxima are off WebGPU', () => {
    const b = new GraphBuilder();
    const x = b.input('x', [1, 2, 6, 6]);
    const y = maxPool(b, x, { kernel: 2, stride: 2, padding: 0, windows: [3, 3] });
    b.output('y', y);
    const plain = onnxTarget.lower(b.build());
    expect(providerConfig('webgpu', plain)).toEqual({ name: 'webgpu', preferredLayout: 'NCHW' });
    expect(providerConfig('cuda', plain)).toBe('cuda');
    differentiate(b, [{ value: y, gradient: b.input('dy', y.shape) }], [x]).forEach((g) =>
      b.output('dx', g!),
    );
    expect(providerConfig('webgpu', onnxTarget.lower(b.build()))).toEqual({
      name: 'webgpu',
      preferredLayout: 'NCHW',
      forceCpuNodeNames: [expect.stringContaining('maxPoolGradient')],
    });
  });
});
