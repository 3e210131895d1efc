/** A browser as a device: Chromium, headless, opens the agent's page and measures. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LatencyMeasurement } from '../../../src/device/measurement.js';
import { measureModels, type ModelToMeasure } from '../../../src/device/measure.js';
import type { DeviceProfile } from '../../../src/device/profile.js';
import { nullModel, sentinelModel } from '../../../src/device/referenceModels.js';
import { connectDevice } from '../../../src/device/transports.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import { chromiumTitle, hasChromium, NO_GPU, SOFTWARE_WEBGPU } from '../../support/chromium.js';
import { partlyCpuModel } from '../../support/smallModels.js';
import { listeningLogger } from '../support/agent.js';
import { openPage, startTestBrowserAgent, type TestBrowserAgent } from '../support/browserAgent.js';
import { startProxy, type Proxy } from '../support/proxy.js';

/** Long enough to interrupt. */
const slower = { ...briefProtocol, rounds: { ...briefProtocol.rounds, min: 4, max: 4 } };
/** The page's address behind a network that can be cut. */
const throughProxy = ({ url }: Proxy): { pageUrls: string[] } => ({
  pageUrls: [`${url}/${new URL(agent.pageUrls[0]!).hash}`],
});
const small = (): Uint8Array => sentinelModel(28);

let agent: TestBrowserAgent;
let profile: DeviceProfile;
beforeAll(async () => {
  ({ agent, profile } = await startTestBrowserAgent({ graceMs: 200, pausedEveryMs: 500 }));
});
afterAll(() => agent.remove());

describe.skipIf(!hasChromium)(chromiumTitle('a page in Chromium'), () => {
  it('is isolated, says what it is, and measures with two threads; a broken model fails alone', async () => {
    const { page, errors, close } = await openPage(agent, NO_GPU);
    const threads = { ...profile, threads: 2 };
    const connection = await connectDevice(threads);
    await connection.close();
    expect(connection.fingerprint).toMatchObject({
      timer: 'wall, cross-origin isolated',
      runtime: expect.stringMatching(/^onnxruntime-web 1\./) as string,
      host: expect.stringMatching(/^Chrom/) as string,
      settings: { threads: 2, spinning: true },
    });
    const failures = new Map<string, string>();
    const results = await measureModels(
      threads,
      [
        { id: 'block', onnx: sentinelModel() },
        { id: 'nothing', onnx: nullModel },
        { id: 'damaged', onnx: new Uint8Array([1, 2, 3]) },
        { id: 'one <b>bold</b> name', onnx: small },
      ],
      briefProtocol,
      { onFailure: (id, reason) => void failures.set(id, reason) },
    );
    expect([...results.keys()].sort()).toEqual(['block', 'nothing', 'one <b>bold</b> name']);
    expect([...failures.keys()]).toEqual(['damaged']);
    const block = results.get('block')!;
    expect(block.latencyMs).toBeGreaterThan(results.get('nothing')!.latencyMs);
    // A sample is 200 times what the clock can tell, 5 µs in an isolated page.
    expect(results.get('nothing')!.repeats * results.get('nothing')!.rawMs).toBeGreaterThan(0.5);
    expect(block).toMatchObject({ rounds: 2, cpuPerWall: null });
    // The page shows the figures, and takes nothing for markup.
    expect(await page.textContent('#measured-count')).toBe('3');
    const lines = await page.locator('#results li').allTextContents();
    expect(lines.filter((line) => line.includes('one <b>bold</b> name'))).toHaveLength(1);
    expect(await page.locator('#results b').count()).toBe(0);
    await page.waitForFunction("document.getElementById('state').textContent === 'Ready'");
    expect(errors).toEqual([]);
    await close();
  });

  it('goes on in another page of the device when the first is closed in the middle: nothing is lost or measured twice', async () => {
    let open = await openPage(agent, NO_GPU);
    const models: ModelToMeasure[] = Array.from({ length: 6 }, (_, i) => ({ id: `model ${i}`, onnx: small }));
    const logger = listeningLogger();
    const told: string[] = [];
    const kept: LatencyMeasurement[] = [];
    let reopened = Promise.resolve();
    const results = await measureModels(
      profile,
      models,
      { ...slower, interleave: 2 },
      {
        logger,
        onResult(id, measurement) {
          told.push(id);
          kept.push(measurement);
          if (told.length !== 3) return;
          reopened = (async () => {
            await open.close();
            await sleep(800);
            open = await openPage(agent, NO_GPU);
          })();
        },
      },
    );
    await reopened;
    expect([...results.keys()].sort()).toEqual(models.map(({ id }) => id));
    expect(new Set(told).size).toBe(told.length);
    expect([...results.values()]).toEqual(kept);
    expect(logger.lines.join('\n')).toMatch(/"browser-test" is paused: no page of the device is open/);
    expect(open.errors).toEqual([]);
    await open.close();
  });

  it('loses nothing where the network is cut and comes back: the same page goes on', async () => {
    const network = await startProxy(agent.port);
    const { page, errors, close } = await openPage(throughProxy(network), NO_GPU);
    const attempts = new Set<string>();
    page.on('request', (request) => {
      if (!request.url().endsWith('/events')) return;
      attempts.add((request.postDataJSON() as { attempt: string }).attempt);
    });
    const gone = (): number => agent.lines.filter((line) => line.endsWith(': gone')).length;
    const before = gone();
    let cut: Promise<void> | undefined;
    const models = Array.from({ length: 4 }, (_, i) => ({ id: `model ${i}`, onnx: small }));
    const results = await measureModels(
      profile,
      models,
      { ...slower, interleave: 2 },
      {
        onResult() {
          cut ??= (async () => {
            network.cut();
            await sleep(100);
            network.mend();
          })();
        },
      },
    );
    await cut;
    expect(results.size).toBe(4);
    expect(gone()).toBe(before + 1);
    // One for each batch of models: none was begun anew.
    expect(attempts.size).toBe(2);
    expect(errors).toEqual([]);
    await close();
    await network.close();
  });

  it('asks for the token where the address has none or a wrong one', async () => {
    const wrong = agent.pageUrls[0]!.replace(/#.*/, '#a-wrong-token-it-is');
    const { page, close } = await openPage({ pageUrls: [wrong] }, NO_GPU);
    await page.waitForSelector('#token-form:not([hidden])');
    expect(await page.textContent('#link')).toBe('wrong token');
    await page.fill('#token', decodeURIComponent(agent.pageUrls[0]!.split('#')[1]!));
    await page.click('#token-form button');
    await page.waitForSelector('#link[data-state="connected"]');
    await close();
  });

  it('measures on WebGPU, and finds out what it leaves to the CPU', async () => {
    const { close, errors } = await openPage(agent, SOFTWARE_WEBGPU);
    const webgpu: DeviceProfile = { ...profile, provider: { name: 'webgpu', options: {} } };
    const connection = await connectDevice(webgpu);
    await connection.close();
    expect(connection.fingerprint.gpu).toMatch(/swiftshader.*software/);
    const failures = new Map<string, string>();
    const models = [
      { id: 'block', onnx: sentinelModel(28) },
      { id: 'partly', onnx: partlyCpuModel },
    ];
    const results = await measureModels(webgpu, models, briefProtocol, {
      onFailure: (id, reason) => void failures.set(id, reason),
    });
    expect([...results.keys()]).toEqual(['block']);
    expect(failures.get('partly')).toMatch(/"webgpu" leaves operators of the model to the CPU: Det;/);
    const lenient: DeviceProfile = {
      ...webgpu,
      provider: { ...webgpu.provider, allowCpuOperators: true },
    };
    const allowed = await measureModels(lenient, models.slice(1), briefProtocol);
    expect(allowed.get('partly')!.cpuOperators).toEqual(['Det']);
    expect(errors).toEqual([]);
    await close();
  }, 120_000);
});
