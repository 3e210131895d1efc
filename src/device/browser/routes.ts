/** The requests of the page, beside those of the hosts that measure (`../agent/server.ts`). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { z } from 'zod';
import { parseJson } from '../../util/files.js';
import { TOKEN_ERRORS, tokenCheck } from '../agent/authorise.js';
import type { AgentOptions } from '../agent/server.js';
import type { Assets } from './assets.js';
import type { BrowserExecutor } from './browserExecutor.js';
import { helloSchema, PING_MS, reportSchema, tabIdSchema } from './messages.js';

/** Of a request's JSON. */
const MAX_BYTES = 2 ** 20;

/**
 * Isolated, so that there are threads and a fine clock (COOP, COEP); nothing is loaded from elsewhere, and nobody may put
 * the page into theirs.
 */
const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; " +
    "style-src 'self' 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

export type Routes = (...asked: Parameters<NonNullable<AgentOptions['routes']>>) => Promise<boolean>;

class RequestError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

function answer(
  response: ServerResponse,
  status: number,
  type: string,
  content: string | Uint8Array,
  cache = 'no-store',
): void {
  response
    .writeHead(status, {
      ...HEADERS,
      'content-type': type,
      'content-length': Buffer.byteLength(content),
      'cache-control': cache,
    })
    .end(content);
}

const answerJson = (response: ServerResponse, status: number, value: unknown): void =>
  answer(response, status, 'application/json', JSON.stringify(value));

/** Throws RequestError for a body that is too long or not what `schema` says. */
async function readBody<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new RequestError(413, `a request must have at most ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return parseJson(Buffer.concat(chunks).toString('utf8'), schema, 'the request');
  } catch (error) {
    throw new RequestError(400, (error as Error).message);
  }
}

/** `POST /browser/tabs/ID`: orders for this page, as lines of JSON, for as long as it lives. */
async function stream(
  executor: BrowserExecutor,
  id: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const hello = await readBody(request, helloSchema);
  response.writeHead(200, {
    ...HEADERS,
    'content-type': 'application/x-ndjson',
    'cache-control': 'no-store',
  });
  response.flushHeaders();
  const write = (line: string): void => {
    if (!response.writableEnded && !response.destroyed) response.write(`${line}\n`);
  };
  const handle = executor.open(id, hello, (order) => write(JSON.stringify(order)));
  const ping = setInterval(() => write(''), PING_MS);
  response.on('close', () => {
    clearInterval(ping);
    handle.close();
  });
}

/** Answers the page's requests; false for what is not one. Everything but the page's own files needs the token. */
export function createRoutes(executor: BrowserExecutor, assets: Assets, token: string): Routes {
  const check = tokenCheck(token);

  const serve: Routes = async (request, response, authorised) => {
    const { method = '' } = request;
    const [path = ''] = (request.url ?? '').split('?');
    const asset = method === 'GET' ? assets.read(path) : undefined;
    if (asset !== undefined) {
      const { type, content, immutable } = await asset;
      answer(response, 200, type, content, immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
      return true;
    }
    if (!path.startsWith('/browser/')) return false;
    const given = check(request.headers);
    if (given !== 'right') throw new RequestError(401, TOKEN_ERRORS[given]);
    if (!authorised()) throw new RequestError(503, 'too many connections are open');
    const [, , kind = '', name = '', part = '', ...rest] = path.split('/');
    const found = rest.length === 0 ? `${method} ${kind}/:${part && `/${part}`}` : '';
    if (found === 'GET models/:') {
      const onnx = executor.model(name);
      if (onnx === undefined) throw new RequestError(404, 'no measurement wants this model');
      answer(response, 200, 'application/octet-stream', onnx, 'private, max-age=86400, immutable');
      return true;
    }
    if (!tabIdSchema.safeParse(name).success) return false;
    switch (found) {
      case 'POST tabs/:':
        await stream(executor, name, request, response);
        return true;
      case 'POST tabs/:/events':
        answerJson(response, 200, { told: executor.report(name, await readBody(request, reportSchema)) });
        return true;
      case 'POST tabs/:/alive':
        executor.alive(name);
        request.resume();
        answerJson(response, 200, {});
        return true;
      default:
        return false;
    }
  };

  return async (request, response, authorised) => {
    try {
      return await serve(request, response, authorised);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (!request.complete) response.setHeader('connection', 'close');
      answerJson(response, error.status, { error: error.message });
      return true;
    }
  };
}
