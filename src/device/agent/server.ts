/**
 * An agent: lets other machines measure models here, over HTTP with a token. Requests carry models and numbers, never
 * paths or code; docs/devices.md has them one by one. Node's own server, as there are six requests, two of them streams.
 */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { parseJson } from '../../util/files.js';
import type { Logger } from '../../util/logger.js';
import { packageVersion } from '../../util/scripts.js';
import type { Executor } from '../executor.js';
import { TOKEN_ERRORS, tokenCheck } from './authorise.js';
import { Connections } from './connections.js';
import { defaultQueueLimits, JobConflictError, JobQueue, QueueFullError, type QueueLimits } from './jobs.js';
import { openJournal } from './journal.js';
import {
  ModelDamagedError,
  ModelRefusedError,
  ModelStore,
  ModelTooLargeError,
  StoreFullError,
  type ModelStoreLimits,
} from './models.js';
import { checkSettings } from './policy.js';
import {
  connectRequestSchema,
  hashSchema,
  jobIdSchema,
  jobRequestSchema,
  STREAM_SILENCE_MS,
  WIRE_VERSION,
  type ConnectAnswer,
  type NumberedEvent,
} from './wire.js';

export interface AgentLimits extends QueueLimits, ModelStoreLimits {
  /** Of an operator, in a job's settings. */
  readonly maxThreads: number;
  /** Of a request's JSON. */
  readonly maxRequestBytes: number;
  /** A connection on which nothing moves for so long is closed. */
  readonly idleMs: number;
}

export const defaultAgentLimits = (): AgentLimits => ({
  ...defaultQueueLimits,
  maxModelBytes: 512 * 2 ** 20,
  storeBytes: 2 * 2 ** 30,
  maxThreads: availableParallelism(),
  maxRequestBytes: 2 ** 20,
  idleMs: 2 * STREAM_SILENCE_MS,
});

export interface AgentOptions {
  readonly executor: Executor;
  readonly token: string;
  /** Interface to listen on. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** PEM. Without it tokens and models travel in the open. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Where models and jobs are kept. One agent a folder. */
  readonly folder: string;
  readonly limits?: Partial<AgentLimits>;
  readonly logger: Logger;
  /** Called when the token is used for the first time. */
  readonly onFirstUse?: () => void;
  /**
   * Asked about requests that are not under /v1/; true where it answers. It checks who is asking, and calls `authorised`
   * for who has the token; false where there are too many of those.
   */
  readonly routes?: (
    request: IncomingMessage,
    response: ServerResponse,
    authorised: () => boolean,
  ) => boolean | Promise<boolean>;
}

export interface RunningAgent {
  readonly url: string;
  readonly port: number;
  /** Stops measuring; what was measured stays in the folder. */
  close(): Promise<void>;
}

/** An answer that is an error. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Status of what the parts of an agent throw. */
function statusOf(error: unknown): number {
  if (error instanceof Refusal) return error.status;
  if (error instanceof JobConflictError) return 409;
  if (error instanceof QueueFullError) return 503;
  if (error instanceof ModelTooLargeError) return 413;
  if (error instanceof ModelRefusedError) return 422;
  if (error instanceof ModelDamagedError) return 400;
  if (error instanceof StoreFullError) return 507;
  return error instanceof UserError ? 422 : 500;
}

class Agent {
  private readonly check: ReturnType<typeof tokenCheck>;
  private readonly refused = { missing: 0, wrong: 0 };
  private used = false;

  constructor(
    private readonly options: AgentOptions,
    private readonly limits: AgentLimits,
    private readonly queue: JobQueue,
    private readonly models: ModelStore,
    private readonly connections: Connections,
  ) {
    this.check = tokenCheck(options.token);
  }

  /** Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that goes away in the middle is no reason to end.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    this.connections.answering(request.socket, response);
    try {
      await this.route(request, response);
    } catch (error) {
      this.refuse(request, response, error);
    }
  }

  private refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const status = statusOf(error);
    const { message } = error as Error;
    // The client went away: nobody to tell.
    if (response.destroyed || response.headersSent) {
      response.destroy();
      return;
    }
    if (status === 500) this.options.logger.warn(`Cannot answer ${request.method ?? ''}: ${message}`);
    // The rest of the body is not read: the connection cannot be used again.
    const close = request.complete ? {} : { connection: 'close' };
    this.answer(response, status, { error: status === 500 ? 'internal error' : message }, close);
  }

  private answer(
    response: ServerResponse,
    status: number,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    const text = JSON.stringify(body);
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      ...headers,
    });
    response.end(text);
  }

  /** Throws Refusal for a request without the token, and where too many have it. */
  private authorise({ headers, socket }: IncomingMessage): void {
    const token = this.check(headers);
    if (token === 'right') {
      if (!this.used) this.options.onFirstUse?.();
      this.used = true;
      if (this.connections.authorise(socket)) return;
      throw new Refusal(503, 'too many connections are open');
    }
    // One line for 1, 10, 100, ... of them.
    if (Number.isInteger(Math.log10(++this.refused[token]))) {
      const what = token === 'wrong' ? 'a wrong token' : 'a request without a token';
      this.options.logger.warn(
        `Refused ${what} from ${socket.remoteAddress ?? 'somewhere'} (${this.refused[token]} so far)`,
      );
    }
    throw new Refusal(401, TOKEN_ERRORS[token]);
  }

  private async route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const [path = '', query = ''] = url.split('?');
    if (!path.startsWith('/v1/')) {
      const authorised = (): boolean => this.connections.authorise(request.socket);
      if ((await this.options.routes?.(request, response, authorised)) === true) return;
      throw new Refusal(404, 'there is nothing at this address');
    }
    this.authorise(request);
    const [, , kind = '', name = '', part = '', ...rest] = path.split('/');
    const found = rest.length === 0 ? `${method} ${kind}${name && '/:'}${part && `/${part}`}` : '';
    switch (found) {
      case 'POST connect':
        return this.connect(request, response);
      case 'HEAD models/:':
      case 'PUT models/:':
        return this.model(this.parseName(name, hashSchema), request, response);
      case 'PUT jobs/:':
        return this.submit(this.parseName(name, jobIdSchema), request, response);
      case 'DELETE jobs/:':
        if (!this.queue.drop(this.parseName(name, jobIdSchema)))
          throw new Refusal(404, 'there is no such job');
        return this.answer(response, 200, {});
      case 'GET jobs/:/events':
        return this.events(this.parseName(name, jobIdSchema), query, request, response);
      default:
        throw new Refusal(404, 'there is nothing at this address');
    }
  }

  private parseName(name: string, schema: typeof hashSchema | typeof jobIdSchema): string {
    const result = schema.safeParse(name);
    if (result.success) return result.data;
    throw new Refusal(400, `the name in the address ${result.error.issues[0]!.message}`);
  }

  private async readText(request: IncomingMessage, response: ServerResponse): Promise<string> {
    const { maxRequestBytes } = this.limits;
    const tooLarge = new Refusal(413, `a request must have at most ${maxRequestBytes} bytes`);
    if (Number(request.headers['content-length'] ?? 0) > maxRequestBytes) throw tooLarge;
    letItCome(request, response);
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > maxRequestBytes) throw tooLarge;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  private async connect(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await this.readText(request, response);
    // Looked at first: the other keys of another version may be others.
    const { wire } = parseRequest(text, z.looseObject({ wire: z.number() }));
    if (wire !== WIRE_VERSION) {
      throw new Refusal(
        400,
        `it speaks version ${WIRE_VERSION} of the protocol, not ${wire}: install the same ofakit on both sides`,
      );
    }
    const { settings } = parseRequest(text, connectRequestSchema);
    checkSettings(settings, this.limits.maxThreads);
    this.options.executor.checkReady?.(settings);
    const notes: string[] = [];
    const logger = { ...this.options.logger, warn: (note: string) => void notes.push(note) };
    const connection = await this.options.executor.connect(settings, logger);
    await connection.close();
    const { fingerprint } = connection;
    const answer: ConnectAnswer = { wire: WIRE_VERSION, version: packageVersion(), fingerprint, notes };
    this.answer(response, 200, answer);
  }

  private async model(hash: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const here = this.models.has(hash);
    if (request.method === 'HEAD') {
      response.writeHead(here ? 200 : 404).end();
      return;
    }
    if (here) return this.refuse(request, response, new Refusal(409, 'this model is here'));
    // Nothing may arrive while another job is being measured: it would take time from it.
    if (!this.queue.waitsFor(hash)) throw new Refusal(409, 'no job waits for this model');
    const { maxModelBytes } = this.limits;
    try {
      if (Number(request.headers['content-length'] ?? 0) > maxModelBytes) {
        throw new ModelTooLargeError(`Cannot accept the model: it must have at most ${maxModelBytes} bytes`);
      }
      letItCome(request, response);
      await this.models.receive(hash, request, () => this.queue.modelProgress());
    } catch (error) {
      if (error instanceof ModelRefusedError) this.queue.modelRefused(hash, error.message);
      throw error;
    }
    this.queue.modelArrived(hash);
    this.answer(response, 201, {});
  }

  private async submit(id: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const job = parseRequest(await this.readText(request, response), jobRequestSchema);
    checkSettings(job.settings, this.limits.maxThreads);
    this.answer(response, this.queue.submit(id, job) ? 201 : 200, {});
  }

  private events(id: string, query: string, request: IncomingMessage, response: ServerResponse): void {
    const after = Number(new URLSearchParams(query).get('after') ?? 0);
    if (!Number.isSafeInteger(after) || after < 0)
      throw new Refusal(400, '"after" must be a whole number of at least 0');
    const begin = (): void => {
      if (response.headersSent) return;
      response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
      response.flushHeaders();
    };
    const tell = (numbered: NumberedEvent): void => {
      begin();
      response.write(`${JSON.stringify(numbered)}\n`);
    };
    const stop = this.queue.follow(id, after, tell, () => void response.end());
    if (stop === undefined) throw new Refusal(404, 'there is no such job, or nothing more to tell of it');
    begin();
    const heartbeat = setInterval(() => {
      if (!response.writableEnded) response.write('\n');
    }, STREAM_SILENCE_MS / 3);
    response.on('close', () => {
      clearInterval(heartbeat);
      stop();
    });
    request.resume();
  }
}

/** Tells a client that asked whether its body is welcome that it is. */
function letItCome(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect !== undefined) response.writeContinue();
}

/** Throws Refusal 400 for what is not as the schema says. */
function parseRequest<T>(text: string, schema: z.ZodType<T>): T {
  try {
    return parseJson(text, schema, 'the request');
  } catch (error) {
    throw new Refusal(400, (error as Error).message);
  }
}

/** Starts an agent. Throws UserError where it cannot listen, or its folder, certificate or key cannot be used. */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { executor, host, port, tls, folder, logger } = options;
  const limits: AgentLimits = { ...defaultAgentLimits(), ...options.limits };
  const models = await ModelStore.open(join(folder, 'models'), limits);
  const journal = await openJournal(join(folder, 'jobs'), logger);
  const queue = new JobQueue({ executor, models, limits, logger, journal });
  await queue.restore();
  const connections = new Connections();
  const agent = new Agent(options, limits, queue, models, connections);

  const strict = {
    maxHeaderSize: 8192,
    headersTimeout: 10_000,
    // By default these times are looked at every half minute.
    connectionsCheckingInterval: 1000,
    requestTimeout: 10 * 60_000,
    keepAliveTimeout: 15_000,
  };
  let server;
  try {
    server =
      tls === undefined
        ? createHttpServer(strict)
        : createHttpsServer({ ...strict, ...tls, handshakeTimeout: 10_000 });
  } catch (cause) {
    throw new UserError(`Cannot use the certificate and its key: ${(cause as Error).message}`, { cause });
  }
  const onRequest = (request: IncomingMessage, response: ServerResponse): void =>
    void agent.handle(request, response);
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.on('connection', (socket: Socket) => connections.open(socket));
  server.setTimeout(limits.idleMs);
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new UserError(`Cannot listen on ${host}, port ${port}: ${cause.message}`, { cause }));
    server.once('error', fail);
    server.listen(port, host, () => {
      server.off('error', fail);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${name}:${address.port}`,
    port: address.port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      await queue.close();
      server.closeAllConnections();
      await closed;
      await models.close();
    },
  };
}
