/** What a browser, or anybody, can ask of an agent with a page: over HTTP, without a browser. */
import fc from 'fast-check';
import { request as httpRequest } from 'node:http';
import type { NetworkInterfaceInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAssets } from '../../../src/device/browser/assets.js';
import { runtimeFiles } from '../../../src/device/browser/task.js';
import { lanAddresses, pageAddresses } from '../../../src/device/browser/serve.js';
import { referenceModels } from '../../../src/device/referenceModels.js';
import { modelHash } from '../../../src/device/fingerprint.js';
import { startTestBrowserAgent, type TestBrowserAgent } from '../support/browserAgent.js';

const ID = '00000000-0000-4000-8000-000000000001';
const device = { os: 'Test', arch: 'x', browser: 'b', cores: 2, gpu: null, isolated: true };

let agent: TestBrowserAgent;
beforeAll(async () => {
  ({ agent } = await startTestBrowserAgent());
});
afterAll(() => agent.remove());

const ask = (path: string, init: RequestInit = {}, token = agent.token): Promise<Response> =>
  fetch(`${agent.url}${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
const post = (path: string, body: unknown, token = agent.token): Promise<Response> =>
  ask(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }, token);

/** A request whose path is sent as it is. */
const statusOf = (path: string): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    httpRequest(agent.url, { path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });

describe('the page and its requests', () => {
  it('serves the page and the runtime to everybody, isolated and from nowhere else', async () => {
    const html = await fetch(`${agent.url}/`);
    expect(html.status).toBe(200);
    expect(html.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(html.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    const policy = html.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    const text = await html.text();
    const [, ...links] = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link!);
    expect(links).toContain('/page.js');
    // No address of anybody else's.
    for (const link of links) expect(link).toMatch(/^\/\w/);
    for (const link of [...links, '/worker.js'])
      expect((await fetch(`${agent.url}${link}`)).status).toBe(200);
  });

  it('serves every file that the runtime loads, to be kept', async () => {
    const { runtimeUrl } = openAssets();
    const wanted = ['wasm', 'webgpu'].flatMap((provider) => runtimeFiles(provider));
    expect(new Set(wanted).size).toBe(6);
    for (const file of wanted) {
      const response = await fetch(`${agent.url}${runtimeUrl}${file}`, { method: 'GET' });
      expect(response.status, file).toBe(200);
      expect(response.headers.get('cache-control')).toContain('immutable');
      expect(response.headers.get('content-type')).toBe(
        file.endsWith('.wasm') ? 'application/wasm' : 'text/javascript; charset=utf-8',
      );
      await response.body?.cancel();
    }
  });

  it('serves nothing else', async () => {
    for (const path of [
      '/package.json',
      '/../package.json',
      '/runtime/../../package.json',
      '/%2e%2e/package.json',
      '//etc/passwd',
      '/runtime/',
      '/page.js/',
      '/browser/',
    ]) {
      expect([401, 404], path).toContain(await statusOf(path));
    }
    expect((await fetch(`${agent.url}/`, { method: 'POST' })).status).toBe(404);
  });

  it('wants the token for all that is said', async () => {
    const requests = [`/browser/tabs/${ID}`, `/browser/tabs/${ID}/events`, `/browser/tabs/${ID}/alive`];
    for (const path of requests) {
      expect((await post(path, {}, 'another-token-than-that')).status).toBe(401);
      const without = await fetch(`${agent.url}${path}`, { method: 'POST', body: '{}' });
      expect([without.status, await without.json()]).toEqual([
        401,
        { error: 'a token is wanted: none was sent' },
      ]);
    }
    const hash = modelHash(referenceModels().empty);
    expect((await ask(`/browser/models/${hash}`, {}, 'another-token-than-that')).status).toBe(401);
    const model = await ask(`/browser/models/${hash}`);
    expect(modelHash(new Uint8Array(await model.arrayBuffer()))).toBe(hash);
    expect((await ask(`/browser/models/${'0'.repeat(64)}`)).status).toBe(404);
  });

  it('opens a stream of orders for a page that says what it is', async () => {
    const abort = new AbortController();
    const response = await ask(`/browser/tabs/${ID}`, {
      method: 'POST',
      body: JSON.stringify({ device, attempt: null }),
      signal: abort.signal,
    });
    expect(response.status).toBe(200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const { value = '' } = await reader.read();
    expect(JSON.parse(value.split('\n')[0]!)).toEqual({
      type: 'wait',
      reason: 'waiting for work',
    });
    expect(agent.lines.join('\n')).toContain('Test, b, 2 cores: here');
    abort.abort();
  });

  it('refuses bodies that are too long or not what they should be, and lives', async () => {
    const events = `/browser/tabs/${ID}/events`;
    const report = { attempt: ID, first: 1, events: [] };
    expect(await (await post(events, report)).json()).toEqual({ told: null });
    expect((await post(events, 'x'.repeat(2 ** 20 + 1))).status).toBe(413);
    for (const body of [
      'not JSON',
      {},
      { ...report, first: 0 },
      { ...report, events: [{ type: 'result', id: 'a', measurement: { latencyMs: 1 } }] },
      { ...report, events: [{ type: 'dance' }] },
    ]) {
      expect((await post(events, body)).status).toBe(400);
    }
    for (const wrong of [{ cores: 0 }, { os: 'x'.repeat(501) }, { os: 'a\nb' }, { gpu: 3 }, { more: 1 }]) {
      const answer = await post(`/browser/tabs/${ID}`, { device: { ...device, ...wrong }, attempt: null });
      expect(answer.status, JSON.stringify(wrong)).toBe(400);
      expect(((await answer.json()) as { error: string }).error).toMatch(/^Cannot use the request/);
    }
    expect((await post('/browser/tabs/not-an-id/events', report)).status).toBe(404);
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.json()), async (body) => {
        expect([200, 400]).toContain((await post(events, body)).status);
      }),
      { numRuns: 60 },
    );
    expect((await fetch(`${agent.url}/`)).status).toBe(200);
  });
});

describe('lanAddresses', () => {
  it('begins with what a phone is likeliest to reach', () => {
    const entry = (address: string, internal = false): NetworkInterfaceInfo => ({
      address,
      internal,
      family: 'IPv4',
      netmask: '255.255.255.0',
      mac: '00:00:00:00:00:00',
      cidr: null,
    });
    expect(
      lanAddresses({
        lo: [entry('127.0.0.1', true)],
        docker0: [entry('172.17.0.1')],
        eth1: [entry('169.254.3.4')],
        wlan0: [entry('192.0.2.7')],
        tailscale0: [entry('100.64.0.1')],
      }),
    ).toEqual(['192.0.2.7', '172.17.0.1', '100.64.0.1', '169.254.3.4']);
    expect(lanAddresses({})).toEqual([]);
  });
});

describe('pageAddresses', () => {
  it('names addresses that other devices can use, token behind #', () => {
    expect(pageAddresses('http://0.0.0.0:8753', 't/1', ['192.0.2.7'])).toEqual([
      'http://192.0.2.7:8753/#t%2F1',
      'http://localhost:8753/#t%2F1',
    ]);
    expect(pageAddresses('https://127.0.0.1:8753', 't', ['192.0.2.7'])).toEqual([
      'https://localhost:8753/#t',
    ]);
    expect(pageAddresses('https://192.0.2.7:8753', 't', [])).toEqual(['https://192.0.2.7:8753/#t']);
  });
});
