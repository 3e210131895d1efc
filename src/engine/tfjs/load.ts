/** Finds a TensorFlow.js that the user installed, loads it when it is first needed, and checks that it computes. */
import { createRequire } from 'node:module';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import type { LoadOptions } from './options.js';
import { rank4, type TensorFlow, type TfImage } from './tensorflow.js';

export interface LoadedTensorFlow {
  readonly tf: TensorFlow;
  /** Name and version of the package. */
  readonly name: string;
  /** On its own kernels in C++, or in JavaScript. */
  readonly native: boolean;
}

interface Candidate {
  /** The first one is TensorFlow.js; loading the others adds to it. */
  readonly packages: readonly [string, ...string[]];
  readonly backend: string;
  readonly native: boolean;
}

/** The fastest one first. */
const CANDIDATES: readonly Candidate[] = [
  { packages: ['@tensorflow/tfjs-node-gpu'], backend: 'tensorflow', native: true },
  { packages: ['@tensorflow/tfjs-node'], backend: 'tensorflow', native: true },
  // What @tensorflow/tfjs does by itself in Node.js, without its browser parts; npm puts both beside it.
  {
    packages: ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-cpu'],
    backend: 'cpu',
    native: false,
  },
  { packages: ['@tensorflow/tfjs'], backend: 'cpu', native: false },
];

const INSTALL =
  '"npm install @tensorflow/tfjs-node-gpu" (NVIDIA GPU, Linux), "npm install @tensorflow/tfjs-node" (CPU) ' +
  'or "npm install @tensorflow/tfjs" (JavaScript alone: runs everywhere, slowly)';

/**
 * Loads the fastest package there is. Throws UserError, saying what to install, where there is none, or where the one
 * there is does not load or does not compute: a slower one in its place would hide that.
 */
export async function loadTensorFlow({
  threads,
  from = import.meta.url,
}: LoadOptions = {}): Promise<LoadedTensorFlow> {
  const require = createRequire(from);
  const candidate = CANDIDATES.find(({ packages }) => packages.every((name) => isInstalled(require, name)));
  if (candidate === undefined) {
    throw new UserError(
      `Cannot use the engine "tfjs": one of TensorFlow.js's packages must be installed: there is none; try ${INSTALL}`,
    );
  }
  const { packages, backend, native } = candidate;
  const name = `${packages[0]} ${versionOf(require, packages[0])}`;
  // Both are read by TensorFlow when it loads, and only then. Level 1 leaves out what it tells about itself.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1';
  if (native && threads !== undefined) process.env['TF_NUM_INTRAOP_THREADS'] ??= String(threads);
  try {
    const [tf] = packages.map((part): unknown => require(part));
    if (!isTensorFlow(tf)) throw new TypeError('it exports no "setBackend", "tidy" and "engine"');
    // Also keeps TensorFlow.js from advertising its packages.
    tf.enableProdMode();
    if (!(await tf.setBackend(backend))) throw new Error(`its backend "${backend}" does not start`);
    checkComputes(tf);
    return { tf, name, native };
  } catch (cause) {
    throw new UserError(
      `Cannot use ${name} with Node.js ${process.versions.node}: ${firstLine(cause)}; ${remedy(packages[0], native, cause)}`,
      { cause },
    );
  }
}

function isInstalled(require: NodeJS.Require, name: string): boolean {
  try {
    require.resolve(`${name}/package.json`);
    return true;
  } catch {
    return false;
  }
}

const packageSchema = z.object({ version: z.string() });

function versionOf(require: NodeJS.Require, name: string): string {
  const parsed = packageSchema.safeParse(require(`${name}/package.json`));
  return parsed.success ? parsed.data.version : '(unknown version)';
}

const isTensorFlow = (module: unknown): module is TensorFlow =>
  typeof module === 'object' &&
  module !== null &&
  ['setBackend', 'tidy', 'engine'].every(
    (name) => typeof (module as Record<string, unknown>)[name] === 'function',
  );

/** Runs a kernel: some packages load where they cannot compute. Throws what the kernel throws, or Error. */
function checkComputes(tf: TensorFlow): void {
  const ones = (shape: number[]): TfImage => rank4(tf.ones(shape));
  const sums = tf.tidy(() => tf.conv2d(ones([1, 3, 3, 1]), ones([2, 2, 1, 1]), 1, 'valid').dataSync());
  if (sums.length !== 4 || !sums.every((sum) => sum === 4))
    throw new Error(`sums of four ones are ${sums.join(', ')}`);
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
const firstLine = (cause: unknown): string => messageOf(cause).split('\n')[0]!.trim().replace(/\.$/, '');

/** What to do about a package that fails. */
function remedy(name: string, native: boolean, cause: unknown): string {
  if (!native) return `install it again, or another one: ${INSTALL}`;
  const instead = `or use JavaScript alone: "npm uninstall ${name} && npm install @tensorflow/tfjs"`;
  const message = messageOf(cause);
  // Up to 4.22 it calls functions of node:util that Node.js 23 no longer has (isNullOrUndefined, isArray).
  if (/is not a function/.test(message))
    return `it needs functions that this Node.js does not have: run Node.js 20 or 22, ${instead}`;
  if (/tfjs_binding|libtensorflow|shared object|native addon|NODE_MODULE_VERSION|dlopen/i.test(message)) {
    return `its native binding must be built for this machine: "npm rebuild ${name} --build-addon-from-source" (downloads libtensorflow), ${instead}`;
  }
  return `install it again, ${instead}`;
}
