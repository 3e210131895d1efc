/** Does a file compute what the supernet computes? Runs it every way its users will, and compares. */
import { createOnnxRuntimeEngine } from '../engine/onnxruntime/engine.js';
import { loadRuntime } from '../engine/onnxruntime/runtime.js';
import { referenceEngine } from '../engine/reference.js';
import type { Graph } from '../graph/graph.js';
import { peakBytes } from '../graph/peakMemory.js';
import { readOnnx, type ReadModel } from '../lowering/readOnnx.js';
import { UserError } from '../util/errors.js';
import { createRandom } from '../util/random.js';
import { formatShape, sameShape, sizeOf, tensor, type Shape, type Tensor } from '../util/tensor.js';
import { decodeMetadata, METADATA_KEYS, type ReadMetadata } from './metadata.js';
import { integrityOf, type Integrity } from './seal.js';
import { structureProblems } from './structure.js';

/** Levels of optimisation of ONNX Runtime, each a different program. */
export const OPTIMIZATION_LEVELS = ['disabled', 'basic', 'extended', 'all'] as const;
/** Of the largest |logit|: float32 arithmetic in another order stays well below, a mistake does not. */
export const DEFAULT_TOLERANCE = 1e-4;
/**
 * Likewise, for quantised files: where two ways of computing differ by the last bit before a rounding, their integers
 * differ by one from there on. What such a file is worth, its accuracy tells.
 */
export const INT8_TOLERANCE = 0.1;
/** Products up to which float64 arithmetic in JavaScript takes about a second. */
const MAX_REFERENCE_PRODUCTS = 1e8;
/** It keeps all results, as float64. */
const MAX_REFERENCE_VALUES = 2 ** 24;

const MIB = 2 ** 20;
/** A file of a kilobyte may describe tensors of gigabytes; one of a network's size may need some. */
const allowedBytes = (fileBytes: number): number => Math.min(256 * MIB + 64 * fileBytes, 8192 * MIB);

export interface VerifyOptions {
  /** [N, C, S, S]; default: seeded N(0, 1), of the file's batch; two where that is open, to see that it really is. */
  readonly images?: Tensor;
  /** What the file must compute for images, e.g. `supernetLogits`. Default: its own reading by ofakit. */
  readonly expectedLogits?: (images: Tensor) => Promise<Tensor>;
  /** Of the largest expected |logit|. Default: 1e-4, for quantised files 0.1. */
  readonly tolerance?: number;
  /** What messages call the file. */
  readonly where?: string;
  /** That running it may take by its shapes. Default: 256 MiB and 64 times the file, 8 GiB at most. */
  readonly mostBytes?: number;
}

export interface PathResult {
  /** `onnxruntime basic`, `ofakit float64`, ... */
  readonly path: string;
  readonly maxAbsDifference: number;
  /** Of the largest expected |logit|. */
  readonly relativeDifference: number;
  readonly passed: boolean;
}

export interface Verification {
  readonly passed: boolean;
  /** What is wrong with the file, or kept it from running; one line each. */
  readonly problems: readonly string[];
  readonly paths: readonly PathResult[];
  /** What the paths were compared with. */
  readonly reference: 'expected logits' | 'own reading';
  readonly tolerance: number;
  readonly largestLogit: number;
  /** Whether weights and operators are those that were exported, by the hash in the file. */
  readonly integrity: Integrity;
  readonly metadata: ReadMetadata;
}

/** Multiplications of a graph, near enough to tell seconds from minutes. */
function productsOf(graph: Graph): number {
  return graph.nodes
    .map(({ operation, inputs, outputs }) => {
      const weight = inputs[1]?.shape;
      const isProduct = ['conv2d', 'dense', 'matmul'].includes(operation.name) && weight !== undefined;
      return isProduct ? sizeOf(outputs[0]!.shape) * (sizeOf(weight) / weight[0]!) : 0;
    })
    .reduce((sum, n) => sum + n, 0);
}

const valuesOf = ({ nodes }: Graph): number =>
  nodes.reduce((sum, { outputs }) => outputs.reduce((own, { shape }) => own + sizeOf(shape), sum), 0);

/** Throws UserError for a graph whose tensors together take more than `mostBytes` at a time. */
function checkMemory(graph: Graph, mostBytes: number, where: string): void {
  const inputs = [...graph.inputs.values()].reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  const bytes = peakBytes(graph) + inputs;
  if (bytes <= mostBytes) return;
  const mib = (value: number): string => `${Math.ceil(value / MIB)} MiB`;
  throw new UserError(
    `Cannot verify ${where}: its tensors may take ${mib(mostBytes)} for a file of this size: running it takes ${mib(bytes)}`,
  );
}

/**
 * Runs a graph with one input `input` and one output `logits`, as exactly as its size allows: in float64, or on ONNX
 * Runtime without optimisation.
 */
export async function runExactly(
  graph: Graph,
  images: Tensor,
): Promise<{ readonly logits: Tensor; readonly how: string }> {
  const small = productsOf(graph) <= MAX_REFERENCE_PRODUCTS && valuesOf(graph) <= MAX_REFERENCE_VALUES;
  const engine = small ? referenceEngine : await createOnnxRuntimeEngine({ optimization: 'disabled' });
  const program = await engine.compile(graph);
  try {
    const { logits } = await program.run({ input: images });
    return { logits: logits!, how: small ? 'float64' : 'onnxruntime' };
  } finally {
    await program.dispose();
    await engine.dispose();
  }
}

/** Seeded N(0, 1), as normalised images are. */
export function verificationImages(shape: Shape, seed = 0): Tensor {
  const random = createRandom(seed, 'verification images');
  return tensor(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
}

async function runFile(
  bytes: Uint8Array,
  images: Tensor,
  level: (typeof OPTIMIZATION_LEVELS)[number],
): Promise<Tensor> {
  const runtime = await loadRuntime();
  const session = await runtime.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  try {
    const { logits } = await session.run({ input: new runtime.Tensor('float32', images.data, images.shape) });
    return { shape: logits!.dims, data: logits!.data as Float32Array };
  } finally {
    await session.release();
  }
}

/** The one input's shape. Throws UserError where input and output are not those of an exported network. */
function inputShape({ graph }: ReadModel, where: string): Shape {
  const input = graph.inputs.get('input');
  if (input === undefined || graph.inputs.size !== 1 || !graph.outputs.has('logits')) {
    throw new UserError(
      `Cannot verify ${where}: one input "input" and an output "logits" are wanted: ` +
        `there are ${[...graph.inputs.keys()].join(', ')} and ${[...graph.outputs.keys()].join(', ')}`,
    );
  }
  return input.shape;
}

function checkShape(where: string, what: string, { shape }: Tensor, wanted: Shape): void {
  if (sameShape(shape, wanted)) return;
  throw new UserError(
    `Cannot verify ${where}: ${what} must be ${formatShape(wanted)}: they are ${formatShape(shape)}`,
  );
}

function compare(path: string, logits: Tensor, expected: Tensor, tolerance: number): PathResult {
  let maxAbsDifference = sameShape(logits.shape, expected.shape) ? 0 : Infinity;
  expected.data.forEach((value, i) => {
    const difference = Math.abs(value - (logits.data[i] ?? NaN));
    // A NaN is the worst of differences.
    if (!(difference <= maxAbsDifference))
      maxAbsDifference = Number.isNaN(difference) ? Infinity : difference;
  });
  const relativeDifference = maxAbsDifference === 0 ? 0 : maxAbsDifference / largest(expected);
  return { path, maxAbsDifference, relativeDifference, passed: relativeDifference <= tolerance };
}

const largest = ({ data }: Tensor): number => data.reduce((top, v) => Math.max(top, Math.abs(v)), 0);

/**
 * Checks the form of an exported file (opset, domains, names, shapes, metadata), runs it on ONNX Runtime at every
 * optimisation level and through `readOnnx`, and compares the logits. Throws UserError for a file that cannot be read at
 * all, for one that would take absurdly much memory, and for one whose shapes are not those of the images or the expected logits.
 */
export async function verifyModel(bytes: Uint8Array, options: VerifyOptions = {}): Promise<Verification> {
  const { where = 'the model' } = options;
  const problems = structureProblems(bytes, where);
  const model = readOnnx(bytes, { batch: options.images?.shape[0] ?? 2, where });
  const tolerance = options.tolerance ?? (model.quantized ? INT8_TOLERANCE : DEFAULT_TOLERANCE);
  const shape = inputShape(model, where);
  checkMemory(model.graph, options.mostBytes ?? allowedBytes(bytes.length), where);
  const integrity = integrityOf(bytes, where);
  if (integrity === 'differs')
    problems.push(
      `weights and operators must be those that were exported: their hash is another than "${METADATA_KEYS.sha256}" says; the file is damaged or was changed`,
    );
  const images = options.images ?? verificationImages(shape);
  checkShape(where, 'images', images, shape);
  const own = await runExactly(model.graph, images);
  const expected = (await options.expectedLogits?.(images)) ?? own.logits;
  checkShape(where, 'expected logits', expected, own.logits.shape);
  const top = largest(expected);
  if (!(top > 0 && top < Infinity))
    problems.push(`logits must be finite numbers, not all 0: the largest is ${top}`);

  const paths: PathResult[] = [];
  for (const level of OPTIMIZATION_LEVELS) {
    try {
      const logits = await runFile(bytes, images, level);
      paths.push(compare(`onnxruntime ${level}`, logits, expected, tolerance));
    } catch (error) {
      if (error instanceof UserError) throw error;
      problems.push(
        `ONNX Runtime cannot run it at level ${level}: ${(error as Error).message.split('\n')[0]!}`,
      );
    }
  }
  paths.push(compare(`ofakit ${own.how}`, own.logits, expected, tolerance));
  return {
    passed: problems.length === 0 && paths.every(({ passed }) => passed),
    problems,
    paths,
    reference: options.expectedLogits === undefined ? 'own reading' : 'expected logits',
    tolerance,
    largestLogit: top,
    integrity,
    metadata: readableMetadata(model.metadata),
  };
}

/** Throws UserError saying what differs where a model, called `outPath`, did not pass. */
export function requirePassed({ passed, paths, problems, reference }: Verification, outPath: string): void {
  if (passed) return;
  const bad = paths
    .filter((path) => !path.passed)
    .map(({ path, relativeDifference }) => `${path} differs by ${relativeDifference.toExponential(1)}`);
  const wanted =
    reference === 'own reading' ? 'the same by every way of running it' : 'what the supernet does';
  throw new UserError(
    `Cannot export to ${outPath}: the file must compute ${wanted}: ${[...problems, ...bad].join('; ')}`,
  );
}

/** Bad properties are among the problems already. */
function readableMetadata(properties: ReadonlyMap<string, string>): ReadMetadata {
  try {
    return decodeMetadata(properties);
  } catch (error) {
    if (error instanceof UserError) return {};
    throw error;
  }
}
