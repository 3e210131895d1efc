/** Which package of TensorFlow.js is taken, and what is said where none can be. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadTensorFlow } from '../../../src/engine/tfjs/load.js';
import { UserError } from '../../../src/util/errors.js';

const root = mkdtempSync(join(tmpdir(), 'ofakit-tfjs-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A file beside which packages of that name and code are installed. */
function installed(packages: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(root, 'install-'));
  for (const [name, code] of Object.entries(packages)) {
    const path = join(folder, 'node_modules', name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'package.json'), JSON.stringify({ name, version: '4.22.0', main: 'index.js' }));
    writeFileSync(join(path, 'index.js'), code);
  }
  return join(folder, 'index.js');
}

/** What loading from there says. */
async function refusal(packages: Readonly<Record<string, string>>): Promise<string> {
  const error: unknown = await loadTensorFlow({ from: installed(packages) }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(UserError);
  const { message } = error as UserError;
  expect(message).not.toContain('\n');
  return message;
}

const throwing = (message: string): string => `throw new Error(${JSON.stringify(message)});`;

// The text of @tensorflow/tfjs-node 4.22 (dist/index.js).
const NO_BINDING =
  'The Node.js native addon module (tfjs_binding.node) can not be found at path: /x/lib/napi-v8/tfjs_binding.node. \n' +
  "Please run command 'npm rebuild @tensorflow/tfjs-node --build-addon-from-source' to rebuild the native addon module.";

/** TensorFlow.js itself, with a backend whose convolutions do what `kernel` says. */
const withKernel = (kernel: string): string => `
  const tf = require(${JSON.stringify(createRequire(import.meta.url).resolve('@tensorflow/tfjs-core'))});
  class Backend extends tf.KernelBackend {
    constructor() { super(); this.data = new tf.DataStorage(this, tf.engine()); }
    write(values) { const id = {}; this.data.set(id, values); return id; }
    readSync(id) { return this.data.get(id); }
    disposeData(id) { return this.data.delete(id); }
    numDataIds() { return this.data.numDataIds(); }
    floatPrecision() { return 32; }
    dispose() {}
  }
  if (tf.findBackend('tensorflow') !== null) tf.removeBackend('tensorflow');
  tf.registerBackend('tensorflow', () => new Backend());
  if (tf.getKernel('Conv2D', 'tensorflow')) tf.unregisterKernel('Conv2D', 'tensorflow');
  tf.registerKernel({ kernelName: 'Conv2D', backendName: 'tensorflow', kernelFunc: ({ backend }) => { ${kernel} } });
  module.exports = tf;
`;

describe('says what to install', () => {
  it('where nothing is installed', async () => {
    const message = await refusal({});
    expect(message).toMatch(/^Cannot use the engine "tfjs": /);
    for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node', '@tensorflow/tfjs'])
      expect(message).toContain(`"npm install ${name}"`);
  });

  it('where a part is missing', async () => {
    expect(await refusal({ '@tensorflow/tfjs-core': '' })).toContain('must be installed');
  });

  it('where the native binding was not built', async () => {
    const message = await refusal({ '@tensorflow/tfjs-node': throwing(NO_BINDING) });
    expect(message).toContain('Cannot use @tensorflow/tfjs-node 4.22.0 with Node.js ');
    expect(message).toContain('"npm rebuild @tensorflow/tfjs-node --build-addon-from-source"');
    expect(message).toContain('"npm uninstall @tensorflow/tfjs-node && npm install @tensorflow/tfjs"');
  });

  it.each([
    'libtensorflow.so.2: cannot open shared object file: No such file or directory',
    'The module was compiled against a different Node.js version using NODE_MODULE_VERSION 108',
  ])('where the native library does not load: %s', async (text) => {
    const message = await refusal({ '@tensorflow/tfjs-node-gpu': throwing(text) });
    expect(message).toContain(`: ${text}; `);
    expect(message).toContain('"npm rebuild @tensorflow/tfjs-node-gpu --build-addon-from-source"');
  });

  it('where it loads, but calls functions that Node.js no longer has', async () => {
    const kernel = 'return require("node:util").isNullOrUndefinedInNoVersion(backend);';
    const message = await refusal({ '@tensorflow/tfjs-node': withKernel(kernel) });
    expect(message).toMatch(/isNullOrUndefinedInNoVersion is not a function; .*run Node\.js 20 or 22, or /);
  });

  it('where it computes nonsense', async () => {
    const kernel =
      'return { dataId: backend.write(Float32Array.of(4, 4, 3, 4)), shape: [1, 2, 2, 1], dtype: "float32" };';
    const message = await refusal({ '@tensorflow/tfjs-node': withKernel(kernel) });
    expect(message).toContain('sums of four ones are 4, 4, 3, 4; ');
  });

  it('where it is something else', async () => {
    const parts = { '@tensorflow/tfjs-core': 'module.exports = {};', '@tensorflow/tfjs-backend-cpu': '' };
    expect(await refusal(parts)).toMatch(/it exports no "setBackend".*; install it again, or another one: /);
  });
});

describe('takes the fastest package, and no other in its place', () => {
  const names = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node', '@tensorflow/tfjs'];
  it.each(names.map((name, i) => [name, names.slice(i)] as const))('%s', async (name, there) => {
    const packages = Object.fromEntries(there.map((other) => [other, throwing('it fails')]));
    expect(await refusal(packages)).toContain(`Cannot use ${name} 4.22.0 with Node.js`);
  });

  it('computes with the one that is installed here', async () => {
    const { tf, native } = await loadTensorFlow();
    expect(tf.getBackend()).toBe(native ? 'tensorflow' : 'cpu');
  });
});
