/** Many connections that show no token, beside clients that have it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runtimeSettings } from '../../../src/device/profile.js';
import { WIRE_VERSION } from '../../../src/device/agent/wire.js';
import { connectDevice } from '../../../src/device/transports.js';
import { localProfile, remoteProfile, startTestAgent, type TestAgent } from '../support/agent.js';

let agent: TestAgent;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await agent.remove();
});

/** Connections that begin with `words` and go on with nothing. */
async function flood(count: number, words: string): Promise<Socket[]> {
  const opened = Array.from({ length: count }, () => connect(agent.port, '127.0.0.1'));
  sockets.push(...opened);
  for (const socket of opened) socket.on('error', () => undefined).resume();
  await Promise.all(opened.filter(({ connecting }) => connecting).map((socket) => once(socket, 'connect')));
  for (const socket of opened) if (!socket.destroyed) socket.write(words);
  return opened;
}

const ask = (token: string): Promise<Response> =>
  fetch(`${agent.url}/v1/connect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ wire: WIRE_VERSION, settings: runtimeSettings(localProfile) }),
  });

describe('an agent', () => {
  it.each(['', 'POST /v1/connect HTTP/1.1\r\nhost: a\r\n', 'GET /v1/x HTTP/1.1\r\nauthorization: Bearer '])(
    'answers who has the token, however many say %j and no more',
    async (words) => {
      agent = await startTestAgent();
      for (let wave = 0; wave < 3; wave++) {
        await flood(150, words);
        expect((await ask(agent.token)).status).toBe(200);
        await (await connectDevice(remoteProfile(agent))).close();
      }
    },
  );

  it('keeps the connection of who has shown the token while others come', async () => {
    agent = await startTestAgent();
    const kept = connect(agent.port, '127.0.0.1');
    sockets.push(kept);
    const heard: string[] = [];
    kept.setEncoding('utf8').on('data', (text: string) => void heard.push(text));
    const request = `GET /v1/nothing HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${agent.token}\r\n\r\n`;
    kept.write(request);
    await expect.poll(() => heard.length).toBe(1);
    const [first] = await flood(1, '');
    await flood(300, '');
    // The oldest of those without the token made room.
    await expect.poll(() => first!.destroyed || first!.readableEnded).toBe(true);
    kept.write(request);
    await expect.poll(() => heard.join('').split('HTTP/1.1 404').length).toBe(3);
  });

  it('closes connections that never say what they want', async () => {
    agent = await startTestAgent();
    const silent = await flood(4, 'GET / HTTP/1.1\r\n');
    await expect
      .poll(() => silent.filter((socket) => socket.readableEnded || socket.destroyed).length, {
        timeout: 25_000,
      })
      .toBe(4);
  });
});
