/** Requests as anybody may send them, with and without the token. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, rm, symlink } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WIRE_VERSION, type JobRequest } from '../../../src/device/agent/wire.js';
import { deviceKey, localFingerprint, modelHash } from '../../../src/device/fingerprint.js';
import { runtimeSettings } from '../../../src/device/profile.js';
import { blockModel } from '../../../src/device/referenceModels.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import { localProfile, startTestAgent, type TestAgent } from '../support/agent.js';

const settings = runtimeSettings(localProfile);
const model = blockModel(8);
const hash = modelHash(model);
const MAX_MODEL_BYTES = 100_000;

let agent: TestAgent;
beforeAll(async () => {
  agent = await startTestAgent({
    limits: { maxModelBytes: MAX_MODEL_BYTES, uploadIdleMs: 5000, maxThreads: 2 },
    routes: (request, response) => {
      if (request.url !== '/hello') return false;
      response.end('hello');
      return true;
    },
  });
});
afterAll(() => agent.remove());

interface Answer {
  readonly status: number;
  readonly body: string;
}

const isRaw = (body: object): body is Uint8Array | ReadableStream =>
  body instanceof Uint8Array || body instanceof ReadableStream;

async function ask(
  method: string,
  path: string,
  body?: object | string | Uint8Array | ReadableStream,
  headers: Readonly<Record<string, string>> = { authorization: `Bearer ${agent.token}` },
): Promise<Answer> {
  const content = typeof body === 'object' && !isRaw(body) ? JSON.stringify(body) : body;
  const response = await fetch(new URL(path, agent.url), {
    method,
    headers,
    ...(content === undefined ? {} : { body: content, duplex: 'half' }),
  });
  return { status: response.status, body: await response.text() };
}

const connectBody = (change: object = {}): object => ({
  wire: WIRE_VERSION,
  settings: { ...settings, ...change },
});

const jobOf = (hashes: readonly string[]): JobRequest => ({
  device: deviceKey(localFingerprint(settings)),
  settings,
  protocol: briefProtocol,
  seed: 0,
  models: hashes.map((name, i) => ({ id: `model ${i}`, hash: name })),
});

/** Nobody has broken it. */
async function expectAlive(): Promise<void> {
  expect((await ask('POST', '/v1/connect', connectBody())).status).toBe(200);
}

describe('an agent', () => {
  it('answers nobody without the token, and does not say what is there', async () => {
    const none: Record<string, string>[] = [{}, { authorization: 'Bearer' }, { authorization: '' }];
    const wrong: Record<string, string>[] = [
      { authorization: `Bearer ${agent.token}x` },
      { authorization: `Bearer ${agent.token.slice(0, -1)}` },
      { authorization: agent.token },
      { authorization: `Basic ${Buffer.from(`:${agent.token}`).toString('base64')}` },
      { authorization: `Bearer ${'x'.repeat(2000)}` },
    ];
    const requests: [string, string][] = [
      ['POST', '/v1/connect'],
      ['HEAD', `/v1/models/${hash}`],
      ['PUT', `/v1/models/${hash}`],
      ['PUT', `/v1/jobs/${randomUUID()}`],
      ['DELETE', `/v1/jobs/${randomUUID()}`],
      ['GET', `/v1/jobs/${randomUUID()}/events`],
      ['GET', '/v1/no/such/thing'],
    ];
    for (const headers of [...none, ...wrong]) {
      const error = none.includes(headers) ? 'a token is wanted: none was sent' : 'the token is wrong';
      for (const [method, path] of requests) {
        const { status, body } = await ask(method, path, undefined, headers);
        expect([status, body]).toEqual([401, method === 'HEAD' ? '' : JSON.stringify({ error })]);
      }
    }
    for (const what of ['a wrong token', 'a request without a token'])
      expect(agent.lines.filter((line) => line.startsWith(`Refused ${what}`))).toHaveLength(2);
    expect((await ask('PUT', `/v1/models/${hash}`, new Uint8Array(10_000_000), {})).status).toBe(401);
    await expectAlive();
  });

  it('says what is wrong with a request', async () => {
    const id = randomUUID();
    const job = jobOf([hash]);
    const cases: [string, string, object | string | undefined, number, RegExp][] = [
      ['GET', '/', undefined, 404, /nothing at this address/],
      ['GET', '/v1/', undefined, 404, /nothing at this address/],
      ['GET', '/v1/connect', undefined, 404, /nothing at this address/],
      ['POST', '/v1/connect/more', connectBody(), 404, /nothing at this address/],
      ['GET', `/v1/models/${hash}`, undefined, 404, /nothing at this address/],
      ['PUT', '/v1/models/..%2F..%2Fetc%2Fpasswd', model, 400, /must be 64 hexadecimal digits/],
      ['PUT', `/v1/models/${hash.toUpperCase()}`, model, 400, /must be 64 hexadecimal digits/],
      ['PUT', '/v1/jobs/1', job, 400, /UUID/],
      ['DELETE', `/v1/jobs/${id}`, undefined, 404, /no such job/],
      ['GET', `/v1/jobs/${id}/events`, undefined, 404, /no such job/],
      ['GET', `/v1/jobs/${id}/events?after=-1`, undefined, 400, /"after"/],
      ['GET', `/v1/jobs/${id}/events?after=1e400`, undefined, 400, /"after"/],
      ['POST', '/v1/connect', '{"wire":', 400, /not JSON/],
      ['POST', '/v1/connect', '', 400, /not JSON/],
      [
        'POST',
        '/v1/connect',
        { ...connectBody(), wire: WIRE_VERSION + 1 },
        400,
        /speaks version 1 .* not 2: install the same ofakit/,
      ],
      ['POST', '/v1/connect', connectBody({ threads: 0 }), 400, /settings\.threads/],
      [
        'POST',
        '/v1/connect',
        connectBody({ threads: 3 }),
        422,
        /threads must be at most 2 on this device: current value is 3/,
      ],
      ['POST', '/v1/connect', connectBody({ batch: 1e9 }), 422, /batch must be at most/],
      ['POST', '/v1/connect', connectBody({ pin: [1e6] }), 422, /pin must be processors below 4096/],
      [
        'POST',
        '/v1/connect',
        connectBody({ provider: { name: 'cuda', options: { library: '/tmp/x.so' } } }),
        422,
        /library/,
      ],
      ['POST', '/v1/connect', connectBody({ provider: { name: '../x', options: {} } }), 422, /\.\.\/x/],
      ['PUT', `/v1/jobs/${id}`, { ...job, path: '/etc/passwd' }, 400, /path/],
      ['PUT', `/v1/jobs/${id}`, { ...job, models: [] }, 400, /models/],
      ['PUT', `/v1/jobs/${id}`, { ...job, models: [{ id: 'a\u001b[31m', hash }] }, 400, /control characters/],
      ['PUT', `/v1/jobs/${id}`, { ...job, models: [...job.models, ...job.models] }, 400, /ids must differ/],
      ['PUT', `/v1/jobs/${id}`, { ...job, settings: { ...settings, threads: 3 } }, 422, /threads/],
    ];
    for (const [method, path, body, status, message] of cases) {
      const answer = await ask(method, path, body);
      expect([method, path, answer.status]).toEqual([method, path, status]);
      const { error, ...others } = JSON.parse(answer.body) as { error: string };
      expect(error).toMatch(message);
      expect(others).toEqual({});
    }
    await expectAlive();
  });

  it('refuses bodies that are too large, with and without a stated length', async () => {
    const large = 'x'.repeat(3 * 2 ** 20);
    const unknownLength = (): ReadableStream =>
      new ReadableStream({
        start(controller) {
          for (let i = 0; i < 48; i++) controller.enqueue(new Uint8Array(65_536));
          controller.close();
        },
      });
    for (const body of [large, unknownLength()]) {
      // The agent may close the connection before all of it is sent.
      const answer = await ask('POST', '/v1/connect', body).catch((error: unknown) => error as Error);
      if (!(answer instanceof Error)) expect(answer.status).toBe(413);
    }
    await expectAlive();
  });

  it('takes models only while a job waits for them, and tells the job of those it refuses', async () => {
    expect(await ask('PUT', `/v1/models/${hash}`, model)).toMatchObject({ status: 409 });
    const noise = new Uint8Array(1000).fill(7);
    const large = new Uint8Array(MAX_MODEL_BYTES + 1);
    const id = randomUUID();
    const job = jobOf([hash, modelHash(noise), modelHash(large)]);
    expect(await ask('PUT', `/v1/jobs/${id}`, job)).toMatchObject({ status: 201 });
    expect(await ask('PUT', `/v1/jobs/${id}`, job)).toMatchObject({ status: 200 });
    expect(await ask('PUT', `/v1/jobs/${id}`, jobOf([hash]))).toMatchObject({ status: 409 });
    while ((await ask('PUT', `/v1/models/${hash}`, noise)).status === 409);
    expect(await ask('HEAD', `/v1/models/${hash}`)).toMatchObject({ status: 404 });
    expect(await ask('PUT', `/v1/models/${hash}`, noise)).toMatchObject({ status: 400 });
    expect(await ask('PUT', `/v1/models/${modelHash(noise)}`, noise)).toMatchObject({ status: 422 });
    expect(await ask('PUT', `/v1/models/${modelHash(large)}`, large)).toMatchObject({ status: 413 });
    expect(await ask('PUT', `/v1/models/${'0'.repeat(64)}`, model)).toMatchObject({ status: 409 });
    expect(await ask('PUT', `/v1/models/${hash}`, model)).toMatchObject({ status: 201 });
    expect(await ask('HEAD', `/v1/models/${hash}`)).toMatchObject({ status: 200 });
    expect(await ask('PUT', `/v1/models/${hash}`, model)).toMatchObject({ status: 409 });

    const { body } = await ask('GET', `/v1/jobs/${id}/events`);
    const events = body
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { n: number; event: { type: string; id?: string } });
    expect(events.map(({ n }) => n)).toEqual(events.map((_, i) => i + 1));
    const outcomes = events.filter(({ event }) => ['failed', 'result'].includes(event.type));
    expect(outcomes.map(({ event: { type, id: name } }) => `${name ?? ''} ${type}`)).toEqual([
      'model 1 failed',
      'model 2 failed',
      'model 0 result',
    ]);
    expect(events.at(-1)!.event).toMatchObject({ type: 'end', outcome: 'done' });
    const later = await ask('GET', `/v1/jobs/${id}/events?after=${events.length - 1}`);
    expect(JSON.parse(later.body)).toEqual(events.at(-1));
    expect(await ask('GET', `/v1/jobs/${id}/events?after=${events.length}`)).toMatchObject({ status: 404 });
    expect(await ask('DELETE', `/v1/jobs/${id}`)).toMatchObject({ status: 200 });
    await expect.poll(() => readdir(join(agent.folder, 'jobs'))).toEqual([]);
    expect(await readdir(join(agent.folder, 'models'))).toEqual([`${hash}.onnx`]);
  });

  it('ends a stream of events with the job, also one that was asked for from behind its end', async () => {
    const absent = modelHash(new Uint8Array([1]));
    const id = randomUUID();
    // It waits for its model.
    expect(await ask('PUT', `/v1/jobs/${id}`, jobOf([absent]))).toMatchObject({ status: 201 });
    const beyond = ask('GET', `/v1/jobs/${id}/events?after=1000`);
    const usual = ask('GET', `/v1/jobs/${id}/events`);
    await expect.poll(() => agent.lines.some((line) => line.startsWith(`Job ${id.slice(0, 8)}`))).toBe(true);
    expect(await ask('DELETE', `/v1/jobs/${id}`)).toMatchObject({ status: 200 });
    const end = (await usual).body.trim().split('\n').at(-1)!;
    expect(JSON.parse(end)).toMatchObject({ event: { type: 'end', outcome: 'interrupted' } });
    expect(await beyond).toMatchObject({ status: 200, body: '' });
  });

  it.skipIf(!existsSync('/dev/full'))('says that its disk is full, and takes the model later', async () => {
    const other = blockModel(6);
    const name = modelHash(other);
    const id = randomUUID();
    expect(await ask('PUT', `/v1/jobs/${id}`, jobOf([name]))).toMatchObject({ status: 201 });
    // Whatever is written there next does not fit.
    const numbers = Array.from({ length: 50 }, (_, i) => join(agent.folder, 'models', `incoming-${i}.tmp`));
    for (const path of numbers) await symlink('/dev/full', path);
    const put = (): Promise<Answer> => ask('PUT', `/v1/models/${name}`, other);
    await expect.poll(async () => (await put()).status).toBe(507);
    expect((await put()).body).toMatch(/the disk of .*models is full: free some space there/);
    for (const path of numbers) await rm(path, { force: true });
    expect(await put()).toMatchObject({ status: 201 });
    expect(await ask('DELETE', `/v1/jobs/${id}`)).toMatchObject({ status: 200 });
    await rm(join(agent.folder, 'models', `${name}.onnx`));
  });

  it('asks others about addresses that are not its own', async () => {
    expect(await ask('GET', '/hello', undefined, {})).toEqual({ status: 200, body: 'hello' });
    expect((await ask('GET', '/other', undefined, {})).status).toBe(404);
    expect((await ask('GET', '/v1/hello', undefined, {})).status).toBe(401);
  });

  it('survives requests of any kind (property)', async () => {
    const word = fc.oneof(
      fc.constantFrom('connect', 'models', 'jobs', 'events', hash, randomUUID(), '..', '%00', ''),
      fc.string({ maxLength: 12 }),
    );
    const keys = ['wire', 'settings', 'device', 'protocol', 'seed', 'models', 'provider', 'threads'];
    const json = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()),
      fc.constantFrom(connectBody(), jobOf([hash])).chain((whole) =>
        fc
          .record({ key: fc.constantFrom(...Object.keys(whole)), value: fc.jsonValue() })
          .map(({ key, value }) => ({
            ...whole,
            [key]: value,
          })),
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS'),
        fc.array(word, { maxLength: 4 }),
        fc.oneof(json, fc.uint8Array({ maxLength: 300 })),
        async (method, words, body) => {
          const path = `/v1/${words.map((part) => encodeURIComponent(part)).join('/')}`;
          const withBody = method !== 'GET' && method !== 'HEAD';
          const content = body instanceof Uint8Array ? body : JSON.stringify(body);
          const { status, body: text } = await ask(method, path, withBody ? content : undefined);
          expect([200, 201, 400, 404, 409, 422, 503]).toContain(status);
          if (status >= 400 && method !== 'HEAD')
            expect((JSON.parse(text) as { error: string }).error).not.toMatch(/\n|\.ts:|\.js:/);
        },
      ),
      { numRuns: 150 },
    );
    await expectAlive();
  });

  it('survives what is no HTTP, and connections that say nothing (property)', async () => {
    const send = (bytes: Uint8Array): Promise<void> =>
      new Promise((resolve) => {
        const socket = connectSocket(agent.port, '127.0.0.1', () => {
          socket.write(bytes);
          setTimeout(() => socket.destroy(), 5);
        });
        socket.on('error', () => undefined);
        socket.on('close', () => resolve());
      });
    const start = Buffer.from(
      `PUT /v1/models/${hash} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${agent.token}\r\n`,
    );
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 200 }), (begun, bytes) =>
        send(begun ? Buffer.concat([start, bytes]) : bytes),
      ),
      { numRuns: 60 },
    );
    await send(
      Buffer.concat([start, Buffer.from(`content-length: 1000000\r\nexpect: 100-continue\r\n\r\nabc`)]),
    );
    await send(Buffer.from(`GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(5000)}`));
    await expectAlive();
    expect(agent.lines.filter((line) => line.startsWith('Cannot answer'))).toEqual([]);
  });
});
