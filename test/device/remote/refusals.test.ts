/** What a host says about agents that it cannot use, and what it believes of those that lie. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newToken } from '../../../src/device/agent/token.js';
import { WIRE_VERSION } from '../../../src/device/agent/wire.js';
import { localFingerprint, modelHash } from '../../../src/device/fingerprint.js';
import { measureModels } from '../../../src/device/measure.js';
import { runtimeSettings, type DeviceProfile } from '../../../src/device/profile.js';
import { nullModel } from '../../../src/device/referenceModels.js';
import { connectDevice } from '../../../src/device/transports.js';
import { UserError } from '../../../src/util/errors.js';
import { packageVersion } from '../../../src/util/scripts.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import {
  listeningLogger,
  localProfile,
  remoteProfile,
  startTestAgent,
  type TestAgent,
} from '../support/agent.js';

let folder: string;
let agent: TestAgent;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-refusals-'));
  agent = await startTestAgent();
});
afterAll(async () => {
  await agent.remove();
  await rm(folder, { recursive: true });
});

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

/** A server that is no agent, or not an honest one. */
async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => handle(request, response));
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A token that was never used: a used one belongs to its agent. */
async function freshToken(): Promise<string> {
  const tokenFile = join(folder, `token-${randomUUID()}`);
  await writeFile(tokenFile, newToken(), { mode: 0o600 });
  return tokenFile;
}

const profileOf = async (url: string): Promise<DeviceProfile> =>
  remoteProfile({ url, tokenFile: url === agent.url ? agent.tokenFile : await freshToken() });

async function expectRefusal(profile: DeviceProfile, message: RegExp): Promise<void> {
  const connecting = connectDevice(profile);
  await expect(connecting).rejects.toThrow(UserError);
  await expect(connecting).rejects.toThrow(message);
}

describe('an agent that cannot be used', () => {
  it('refuses the token', async () => {
    const tokenFile = join(folder, 'other');
    await writeFile(tokenFile, `${newToken()}\n`, { mode: 0o600 });
    await expectRefusal(
      remoteProfile({ url: agent.url, tokenFile }),
      /^Cannot use device "remote-test": Cannot use the agent at http:.*: it refuses the token: is the token file the same on both sides\?$/,
    );
    await writeFile(tokenFile, 'short');
    await expectRefusal(remoteProfile({ url: agent.url, tokenFile }), /must hold one token .*something else/);
    await expectRefusal(
      remoteProfile({ url: agent.url, tokenFile: join(folder, 'none') }),
      /there is no such file/,
    );
  });

  it('is not there', async () => {
    const gone = await serve(() => undefined);
    const [server] = servers.splice(0);
    server!.close();
    await expectRefusal(await profileOf(gone), /Cannot reach the agent at .*: nothing listens there/);
    await expectRefusal(
      await profileOf('http://no-such-host.invalid:1'),
      /no machine has this name|could not be looked up/,
    );
    await expectRefusal(await profileOf('ftp://localhost'), /key "transport" at "url"/);
  });

  it('is something else', async () => {
    const page = await serve((_, response) => response.end('<html>hello</html>'));
    await expectRefusal(await profileOf(page), /it is not JSON/);
    const missing = await serve((_, response) => response.writeHead(404).end('not found'));
    await expectRefusal(await profileOf(missing), /answered with status 404, as no agent does/);
  });

  it('speaks another version, and says so', async () => {
    const newer = await serve((_, response) => response.end(JSON.stringify({ wire: WIRE_VERSION + 1 })));
    await expectRefusal(
      await profileOf(newer),
      /the agent speaks version 2 of the protocol: version 1 is wanted: install the same ofakit on both sides/,
    );
  });

  it('has another ofakit, or cannot do all that was asked: a warning', async () => {
    const fingerprint = localFingerprint(runtimeSettings(localProfile));
    const older = await serve((_, response) =>
      response.end(
        JSON.stringify({ wire: WIRE_VERSION, version: '0.0.1', fingerprint, notes: ['cannot pin'] }),
      ),
    );
    const logger = listeningLogger();
    await (await connectDevice(await profileOf(older), logger)).close();
    expect(logger.lines).toEqual([
      'Device "remote-test": cannot pin',
      `Device "remote-test" has ofakit 0.0.1, this is ${packageVersion()}`,
    ]);
  });

  it('lacks the execution provider, and says what it needs', async () => {
    const profile = { ...(await profileOf(agent.url)), provider: { name: 'dml', options: {} } };
    await expectRefusal(profile, /execution provider "dml" is not there: it needs Windows/);
    await expectRefusal(
      { ...profile, provider: { name: 'wasm', options: {} } },
      /Cannot use execution provider "wasm" in a process/,
    );
    const pinned = listeningLogger();
    const connection = await connectDevice({ ...(await profileOf(agent.url)), pin: [4095] }, pinned);
    expect(connection.fingerprint.settings.pin).toBeNull();
    expect(pinned.lines.join()).toMatch(/Cannot bind to processors 4095/);
    await connection.close();
  });
});

const openssl = spawnSync('openssl', ['version']).status === 0;

describe.skipIf(!openssl)('an agent with a certificate (needs openssl)', () => {
  let secure: TestAgent;
  let certFile: string;
  beforeAll(async () => {
    certFile = join(folder, 'agent.crt');
    const keyFile = join(folder, 'agent.key');
    const words = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    const names = [
      '-subj',
      '/CN=device',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      keyFile,
      '-out',
      certFile,
    ];
    expect(spawnSync('openssl', [...words, ...names]).status).toBe(0);
    const [cert, key] = await Promise.all([certFile, keyFile].map((file) => readFile(file, 'utf8')));
    secure = await startTestAgent({ tls: { cert: cert!, key: key! } });
  });
  afterAll(() => secure.remove());

  it('measures where the certificate is trusted', async () => {
    expect(secure.url).toMatch(/^https:/);
    const profile = remoteProfile(secure, { caFile: certFile });
    const results = await measureModels(profile, [{ id: 'a', onnx: nullModel }], briefProtocol);
    expect([...results.keys()]).toEqual(['a']);
  });

  it('is not trusted otherwise, and told from one that has none', async () => {
    await expectRefusal(
      remoteProfile(secure),
      /Cannot trust the agent at https:.*: its certificate is refused: .*"caFile"/,
    );
    const other = remoteProfile(
      { ...secure, url: secure.url.replace('127.0.0.1', 'localhost') },
      { caFile: certFile },
    );
    await expectRefusal(other, /its certificate is refused: .*altnames/);
    const plain = agent.url.replace('http:', 'https:');
    const tokenFile = await freshToken();
    await expectRefusal(remoteProfile({ tokenFile, url: plain }), /it does not speak TLS: use http:/);
    await expectRefusal(
      remoteProfile({ tokenFile, url: secure.url.replace('https:', 'http:') }),
      /Cannot reach the agent/,
    );
  });

  it('does not start with a key of another certificate, or a file that is none', async () => {
    const cert = await readFile(certFile, 'utf8');
    for (const key of ['no key', cert]) {
      await expect(startTestAgent({ tls: { cert, key } })).rejects.toThrow(
        /^Cannot use the certificate and its key: /,
      );
    }
  });
});

describe('an agent that lies', () => {
  const job = {
    settings: runtimeSettings(localProfile),
    protocol: briefProtocol,
    seed: 0,
    models: [{ id: 'a', hash: modelHash(nullModel()), onnx: nullModel() }],
  };
  const greeting = {
    wire: WIRE_VERSION,
    version: packageVersion(),
    fingerprint: localFingerprint(job.settings),
    notes: [],
  };
  const end = { type: 'end', outcome: 'done', reason: null };

  /** An agent whose streams consist of what the test says. */
  const liar = (stream: string): Promise<string> =>
    serve((request, response) => {
      if (request.url === '/v1/connect') response.end(JSON.stringify(greeting));
      else if (request.method === 'GET') response.end(stream);
      else response.end('{}');
    });

  const lines = (...events: object[]): string =>
    events.map((event, i) => `${JSON.stringify({ n: i + 1, event })}\n`).join('');

  async function run(stream: string): Promise<{ heard: unknown[]; outcome: string | undefined | Error }> {
    const heard: unknown[] = [];
    const profile = remoteProfile(
      { url: await liar(stream), tokenFile: await freshToken() },
      { patienceSeconds: 0.2 },
    );
    const connection = await connectDevice(profile);
    try {
      const outcome = await connection
        .run(job, (event) => void heard.push(event), undefined)
        .catch((error: unknown) => error as Error);
      return { heard, outcome };
    } finally {
      await connection.close();
    }
  }

  it('about events is not believed', async () => {
    expect(await run(lines({ type: 'done' }, end))).toEqual({
      heard: [{ type: 'done' }],
      outcome: undefined,
    });
    const wrong: [string, RegExp][] = [
      ['no JSON\n', /an event of the agent: it is not JSON/],
      [lines({ type: 'result', id: 'a', measurement: { latencyMs: -1 } }), /measurement\.latencyMs/],
      [lines({ type: 'run', code: 'rm -rf /' }), /an event of the agent at "event\.type"/],
      [lines({ type: 'done' }) + lines({ type: 'done' }), /event 2 must come next: it is event 1/],
      [lines({ type: 'send', hashes: ['0'.repeat(64)] }), /wants one that is not in the job/],
      ['x'.repeat(3_000_000), /it is too long/],
      [lines({ type: 'done' }), /it ended the connection|the connection broke/],
    ];
    for (const [stream, message] of wrong) {
      const { outcome } = await run(stream);
      expect(outcome).toBeInstanceOf(UserError);
      expect((outcome as Error).message).toMatch(message);
    }
  });

  it('in any way ends in an error or a reason (property)', async () => {
    const text = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.json({ maxDepth: 2 }),
      fc
        .record({ n: fc.integer({ min: 0, max: 4 }), event: fc.oneof(fc.constant(end), fc.jsonValue()) })
        .map((line) => JSON.stringify(line)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 4 }), async (parts) => {
        const { outcome } = await run(parts.map((part) => `${part}\n`).join(''));
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(UserError);
        else if (outcome !== undefined) expect(outcome.length).toBeGreaterThan(0);
      }),
      { numRuns: 25 },
    );
  });
});
