/** Requests to an agent, and what went wrong with them: not reached, not trusted, refused. */
import { once } from 'node:events';
import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { parseJson } from '../../util/files.js';
import { TOKEN_ERRORS } from '../agent/authorise.js';
import { errorSchema, STREAM_SILENCE_MS } from '../agent/wire.js';

/** Of an answer, or of a line of a stream. */
const MAX_ANSWER_BYTES = 2 ** 20;
/** A server that does not say that a model is welcome gets it after this. */
const CONTINUE_MS = 10_000;

/** The agent was not reached, or the connection broke: trying again may help. */
export class UnreachableError extends UserError {
  override readonly name = 'UnreachableError';
}

/** The agent answered that it will not. */
export class RefusedError extends UserError {
  override readonly name = 'RefusedError';

  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }

  /** Whether it may do so later. */
  get passing(): boolean {
    return this.status === 503 || this.status === 500;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection broke',
  EPIPE: 'the connection broke',
  ENOTFOUND: 'no machine has this name',
  EAI_AGAIN: 'the name could not be looked up',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
  ETIMEDOUT: 'it does not answer',
};

/** Codes of Node.js for certificates that are not trusted, and for what is no TLS. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/;
const NO_TLS = /^(EPROTO|ERR_SSL_)/;

/** Says in words what a socket reported. */
function connectionProblem(url: URL, error: unknown): UserError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (UNTRUSTED.test(code)) {
    return new UserError(
      `Cannot trust the agent at ${url.origin}: its certificate is refused: ${message}; ` +
        `name the certificate that signed it with "caFile" in the device profile`,
      { cause: error },
    );
  }
  if (NO_TLS.test(code)) {
    return new UserError(`Cannot reach the agent at ${url.origin}: it does not speak TLS: use http://`, {
      cause: error,
    });
  }
  return new UnreachableError(`Cannot reach the agent at ${url.origin}: ${REASONS[code] ?? message}`, {
    cause: error,
  });
}

export interface AgentAddress {
  readonly url: URL;
  readonly token: string;
  /** PEM of the certificates that are trusted; default: those of the system. */
  readonly ca?: string;
}

interface RequestOptions {
  readonly body?: Uint8Array;
  /** Ask whether the body is welcome before it is sent. */
  readonly expect?: boolean;
  readonly signal?: AbortSignal;
}

/** One agent. All methods throw UserError: UnreachableError, RefusedError, or one that trying again does not help. */
export class AgentClient {
  private readonly sockets: HttpAgent;
  private connected = false;

  constructor(private readonly address: AgentAddress) {
    const { url, ca } = address;
    const keep = { keepAlive: true };
    this.sockets =
      url.protocol === 'https:'
        ? new HttpsAgent({ ...keep, ...(ca === undefined ? {} : { ca }) })
        : new HttpAgent(keep);
  }

  close(): void {
    this.sockets.destroy();
  }

  /** Whether anything was sent: there was a connection, and a trusted one where that is wanted. */
  get reached(): boolean {
    return this.connected;
  }

  /** An answer that is not an error; its body is still to be read. */
  private async open(method: string, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
    const { url, token } = this.address;
    const { body, expect = false, signal } = options;
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    let request: ClientRequest;
    try {
      request = send(new URL(path, url), {
        method,
        agent: this.sockets,
        timeout: STREAM_SILENCE_MS,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-length': body.byteLength }),
          ...(expect ? { expect: '100-continue' } : {}),
        },
      });
    } catch (error) {
      throw connectionProblem(url, error);
    }
    const established = url.protocol === 'https:' ? 'secureConnect' : 'connect';
    request.on('socket', (socket) => {
      // Those that are used again are connected.
      if (socket.connecting) socket.once(established, () => (this.connected = true));
    });
    // Not the option `signal` of Node.js 20: it destroys the socket with an error that nobody hears when all has arrived.
    const abort = (): void => void request.destroy();
    signal?.addEventListener('abort', abort, { once: true });
    request.on('close', () => signal?.removeEventListener('abort', abort));
    if (signal?.aborted === true) abort();
    request.on('timeout', () => request.destroy(new Error(`nothing came for ${STREAM_SILENCE_MS / 1000} s`)));
    if (expect) {
      const late = setTimeout(() => request.end(body), CONTINUE_MS);
      request.on('continue', () => {
        clearTimeout(late);
        request.end(body);
      });
      request.on('close', () => clearTimeout(late));
      request.on('response', () => clearTimeout(late));
      request.flushHeaders();
    } else request.end(body);
    let response: IncomingMessage;
    try {
      [response] = (await once(request, 'response')) as [IncomingMessage];
    } catch (error) {
      throw connectionProblem(url, error);
    }
    // A body that is cut off later is told to who reads it; where nobody does any more, that is no failure.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const { statusCode: status = 0 } = response;
    if (status >= 200 && status < 300) return response;
    const refusal = await this.refusal(status, response);
    // Of a body that was not welcome nothing was sent: the connection has no further use.
    if (!request.writableEnded) request.destroy();
    throw new RefusedError(status, refusal);
  }

  private async refusal(status: number, response: IncomingMessage): Promise<string> {
    const where = `the agent at ${this.address.url.origin}`;
    let said: string;
    try {
      said = parseJson(await this.text(response), errorSchema, 'its answer').error;
    } catch {
      said = `it answered with status ${status}, as no agent does: is something else at this address?`;
    }
    if (status === 401 && said === TOKEN_ERRORS.missing)
      return `Cannot use ${where}: no token arrives there: does something in between take the header "Authorization" away?`;
    if (status === 401)
      return `Cannot use ${where}: it refuses the token: is the token file the same on both sides?`;
    return `Cannot use ${where}: ${said.replace(/\p{Cc}/gu, ' ').slice(0, 1000)}`;
  }

  private async text(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        bytes += chunk.byteLength;
        if (bytes > MAX_ANSWER_BYTES) throw this.tooLong();
        chunks.push(chunk);
      }
    } catch (error) {
      throw error instanceof UserError ? error : connectionProblem(this.address.url, error);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  /** A request with a JSON body; its answer, checked. */
  async json<T>(
    method: string,
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const response = await this.open(method, path, {
      ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
      ...(signal === undefined ? {} : { signal }),
    });
    return parseJson(await this.text(response), schema, `the answer of ${this.address.url.origin}`);
  }

  /** Sends bytes, once the agent has said that they are welcome. */
  async upload(path: string, body: Uint8Array, signal: AbortSignal): Promise<void> {
    const response = await this.open('PUT', path, { body, expect: true, signal });
    await this.text(response);
  }

  /** Lines as they come, empty ones left out, until the agent ends the stream. Throws UnreachableError where it breaks. */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.open('GET', path, { signal });
    response.setEncoding('utf8');
    let rest = '';
    try {
      for await (const chunk of response as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        if (rest.length > MAX_ANSWER_BYTES) throw this.tooLong();
        for (const line of lines) if (line !== '') yield line;
      }
    } catch (error) {
      throw error instanceof UserError ? error : connectionProblem(this.address.url, error);
    }
  }

  private tooLong(): UserError {
    return new UserError(`Cannot use the answer of ${this.address.url.origin}: it is too long`);
  }
}
