/** To whom a token is sent: servers that note down whatever they are told. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveAgent } from '../../../src/device/agent/serve.js';
import { newToken } from '../../../src/device/agent/token.js';
import { localExecutor } from '../../../src/device/localProcess.js';
import { moveTokenHere } from '../../../src/device/remote/remote.js';
import { originOf } from '../../../src/device/tokenOrigins.js';
import { connectDevice } from '../../../src/device/transports.js';
import { listeningLogger, remoteProfile } from '../support/agent.js';

const folder = mkdtempSync(join(tmpdir(), 'ofakit-origins-'));
afterAll(() => rm(folder, { recursive: true }));
const { XDG_CONFIG_HOME } = process.env;
let settings: string;
beforeEach(() => {
  settings = mkdtempSync(join(folder, 'settings-'));
  process.env['XDG_CONFIG_HOME'] = settings;
});

const servers: Server[] = [];
afterEach(async () => {
  process.env['XDG_CONFIG_HOME'] = XDG_CONFIG_HOME;
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

interface Listener {
  readonly url: string;
  readonly heard: (string | undefined)[];
}

async function listen(): Promise<Listener> {
  const heard: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    heard.push(request.headers.authorization);
    response.writeHead(404).end();
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}

function makeToken(name: string, token = newToken()): { token: string; tokenFile: string } {
  const tokenFile = join(folder, name);
  writeFileSync(tokenFile, token, { mode: 0o600 });
  return { token, tokenFile };
}

const remembered = (): string[] => readdirSync(join(settings, 'ofakit', 'tokens'));

describe('a token', () => {
  it('is sent to the address that it was first used with, and to no other, also from another file', async () => {
    const [first, second] = [await listen(), await listen()];
    const { token, tokenFile } = makeToken('a');
    const connect = (url: string, file = tokenFile): Promise<unknown> =>
      connectDevice(remoteProfile({ url, tokenFile: file }));
    await expect(connect(first.url)).rejects.toThrow(/answered with status 404/);
    await expect(connect(first.url.replace('127.0.0.1', 'localhost'))).rejects.toThrow(/status 404/);
    expect(new Set(first.heard)).toEqual(new Set([`Bearer ${token}`]));
    expect(remembered()).toHaveLength(1);
    expect(remembered()[0]).not.toContain(token);

    const copy = makeToken('copy of a', token).tokenFile;
    for (const [url, file] of [
      [second.url, tokenFile],
      [second.url, copy],
      [first.url.replace('http:', 'https:'), tokenFile],
      ['http://device.invalid:8753', tokenFile],
    ] as const) {
      await expect(connect(url, file)).rejects.toThrow(
        /belongs to http:\/\/localhost:\d+, with which it was first used: it was not sent to .*--move-token$/,
      );
    }
    expect(second.heard).toEqual([]);

    const moved = remoteProfile({ url: second.url, tokenFile });
    await moveTokenHere(moved);
    await expect(connectDevice(moved)).rejects.toThrow(/status 404/);
    expect(second.heard).toEqual([`Bearer ${token}`]);
    await expect(connect(first.url)).rejects.toThrow(/it was not sent/);
  });

  it('stays free where nobody was there to hear it', async () => {
    const { url } = await listen();
    const [server] = servers.splice(0);
    server!.close();
    await once(server!, 'close');
    const { tokenFile } = makeToken('b');
    await expect(connectDevice(remoteProfile({ url, tokenFile }))).rejects.toThrow(/nothing listens there/);
    expect(remembered()).toEqual([]);
  });

  it('of an agent on this machine is not sent elsewhere once somebody has measured with it', async () => {
    const { token, tokenFile } = makeToken('c');
    const agent = await serveAgent({
      executor: localExecutor,
      host: '127.0.0.1',
      port: 0,
      tokenFile,
      folder: join(folder, 'agent'),
      logger: listeningLogger(),
    });
    try {
      const stranger = await listen();
      const connecting = (): Promise<unknown> =>
        connectDevice(remoteProfile({ url: stranger.url, tokenFile }));
      await fetch(`${agent.url}/v1/nothing`, { headers: { authorization: `Bearer ${token}` } });
      await expect.poll(() => readdirSync(settings, { recursive: true }).join()).toMatch(/\.json$/);
      await expect(connecting()).rejects.toThrow(`belongs to ${originOf(new URL(agent.url))}`);
      expect(stranger.heard).toEqual([]);
    } finally {
      await agent.close();
    }
  });

  it('is not sent where what is remembered of it cannot be read', async () => {
    const { url, heard } = await listen();
    const { tokenFile } = makeToken('d');
    const connecting = (): Promise<unknown> => connectDevice(remoteProfile({ url, tokenFile }));
    await expect(connecting()).rejects.toThrow(/status 404/);
    writeFileSync(join(settings, 'ofakit', 'tokens', remembered()[0]!), '{"origins":');
    await expect(connecting()).rejects.toThrow(/^Cannot read .*tokens.*: it is not JSON/);
    expect(heard).toHaveLength(1);
  });

  it('is not sent with an address that hides another one', async () => {
    const { tokenFile } = makeToken('e');
    await expect(
      connectDevice(remoteProfile({ url: 'http://raspberrypi.local:8753@127.0.0.1:9', tokenFile })),
    ).rejects.toThrow(/key "transport" at "url": must be without a user name/);
  });
});
