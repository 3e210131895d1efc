/** An exported file in a browser: onnxruntime-web computes in WebAssembly what onnxruntime-node computes here. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadRuntime } from '../../src/engine/onnxruntime/runtime.js';
import { subnetModel } from '../../src/export/exportSubnet.js';
import { verificationImages } from '../../src/export/verify.js';
import { randomStatistics, randomSupernet } from '../export/spaces.js';
import { chromiumTitle, hasChromium, NO_GPU, startChromium } from '../support/chromium.js';
import { shippedSpace } from '../support/spaces.js';

const resolve = createRequire(import.meta.url).resolve;
const dist = dirname(resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm'));
const TYPES = {
  mjs: 'text/javascript',
  wasm: 'application/wasm',
  html: 'text/html',
  onnx: 'application/octet-stream',
};

/** Reads the model and the image from the server, and leaves the logits in the title's place: `window.result`. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>ofakit</title><script type="module">
  window.result = (async () => {
    const ort = await import('/ort.wasm.min.mjs');
    ort.env.wasm.wasmPaths = '/';
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create('/model.onnx', { executionProviders: ['wasm'] });
    const shape = await (await fetch('/shape')).json();
    const pixels = new Float32Array(await (await fetch('/image')).arrayBuffer());
    const { logits } = await session.run({ input: new ort.Tensor('float32', pixels, shape) });
    return [...logits.data];
  })();
</script>`;

/** Serves what the page asks for, to this machine only. */
async function serve(files: ReadonlyMap<string, string | Uint8Array>): Promise<Server> {
  const server = createServer((request, response) => {
    const name = (request.url ?? '/').slice(1) || 'index.html';
    const type = TYPES[name.split('.').at(-1) as keyof typeof TYPES] ?? 'application/octet-stream';
    const answer = (content: string | Uint8Array): void => {
      response.writeHead(200, { 'content-type': type }).end(content);
    };
    const own = files.get(name);
    if (own !== undefined) {
      answer(own);
      return;
    }
    // Nothing but the runtime's own files, by their plain names.
    const wanted = /^[\w.-]+\.(mjs|wasm)$/.test(name)
      ? readFile(join(dist, name))
      : Promise.reject(new Error(name));
    wanted.then(answer, () => response.writeHead(404).end());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}

describe(chromiumTitle('onnxruntime-web in headless Chromium'), () => {
  it.skipIf(!hasChromium).each(['largest', 'smallest'] as const)(
    'computes the logits of an exported mbv3-tiny, the %s',
    async (which) => {
      const space = shippedSpace('mbv3-tiny');
      const arch = space[which];
      const statistics = randomStatistics(space, arch, 'browser');
      const bytes = subnetModel({ space, weights: randomSupernet(space, 'browser'), arch, statistics });
      const { shape, data } = verificationImages([1, 1, arch.imageSize, arch.imageSize]);

      const server = await serve(
        new Map<string, string | Uint8Array>([
          ['index.html', PAGE],
          ['model.onnx', bytes],
          ['shape', JSON.stringify(shape)],
          ['image', new Uint8Array(data.buffer)],
        ]),
      );
      let found: number[];
      try {
        const { context, close } = await startChromium(NO_GPU);
        try {
          const page = context.pages()[0] ?? (await context.newPage());
          const errors: string[] = [];
          page.on('pageerror', ({ message }) => void errors.push(message));
          await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
          found = await page.evaluate<number[]>('window.result');
          expect(errors).toEqual([]);
        } finally {
          await close();
        }
      } finally {
        server.closeAllConnections();
        server.close();
      }

      const runtime = await loadRuntime();
      const session = await runtime.InferenceSession.create(bytes, { intraOpNumThreads: 1 });
      const { logits } = await session.run({ input: new runtime.Tensor('float32', data, shape) });
      await session.release();
      const expected = [...(logits!.data as Float32Array)];
      const largest = Math.max(...expected.map(Math.abs));
      expect(found).toHaveLength(expected.length);
      expect(largest).toBeGreaterThan(0.1);
      found.forEach((logit, i) => expect(Math.abs(logit - expected[i]!) / largest).toBeLessThan(1e-4));
    },
    120_000,
  );
});
