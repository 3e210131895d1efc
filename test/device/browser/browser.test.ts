/** A browser as a device: Chromium, headless, opens the agent's page and measures. */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { tryDevice } from '../../../src/device/add.js';
import type { LatencyMeasurement } from '../../../src/device/measurement.js';
import { measureModels, type ModelToMeasure } from '../../../src/device/measure.js';
import type { DeviceProfile } from '../../../src/device/profile.js';
import { nullModel, blockModel } from '../../../src/device/referenceModels.js';
import { connectDevice } from '../../../src/device/transports.js';
import { subnetModel } from '../../../src/export/exportSubnet.js';
import { randomStatistics, randomSupernet } from '../../export/spaces.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import { chromiumTitle, hasChromium, NO_GPU, SOFTWARE_WEBGPU } from '../../support/chromium.js';
import { partlyCpuModel } from '../../support/smallModels.js';
import { shippedSpace } from '../../support/spaces.js';
import { listeningLogger } from '../support/agent.js';
import { startAgentProcess, type AgentProcess } from '../support/agentProcess.js';
import {
  openPage,
  startTestBrowserAgent,
  type TestBrowserAgent,
  type TestPage,
} from '../support/browserAgent.js';
import { startProxy, type Proxy } from '../support/proxy.js';

/** Long enough to interrupt. */
const slower = { ...briefProtocol, rounds: { ...briefProtocol.rounds, min: 4, max: 4 } };
/** The smallest network of a space, as `ofa export` writes it. */
function wholeNetwork(): Uint8Array {
  const space = shippedSpace('mbv3-tiny');
  const arch = space.smallest;
  const statistics = randomStatistics(space, arch, 'browser');
  return subnetModel({ space, weights: randomSupernet(space, 'browser'), arch, statistics });
}

/** The page's address behind a network that can be cut. */
const throughProxy = ({ url }: Proxy): { pageUrls: string[] } => ({
  pageUrls: [`${url}/${new URL(agent.pageUrls[0]!).hash}`],
});
const small = (): Uint8Array => blockModel(28);

let agent: TestBrowserAgent;
let profile: DeviceProfile;
beforeAll(async () => {
  ({ agent, profile } = await startTestBrowserAgent({ graceMs: 200, pausedEveryMs: 500 }));
});
afterAll(() => agent.remove());

/** A page that is closed when the test is over, however it ends: the next one's is to be the device. */
async function open(
  agentOrProxy: { pageUrls: readonly string[] },
  flags: readonly string[],
): Promise<TestPage> {
  const opened = await openPage(agentOrProxy, flags);
  onTestFinished(opened.close);
  return opened;
}

describe.skipIf(!hasChromium)(chromiumTitle('a page in Chromium'), () => {
  it('is isolated, says what it is, and measures with two threads; a broken model fails alone', async () => {
    const { page, errors } = await open(agent, NO_GPU);
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
        { id: 'block', onnx: blockModel() },
        { id: 'network', onnx: wholeNetwork },
        { id: 'nothing', onnx: nullModel },
        { id: 'damaged', onnx: new Uint8Array([1, 2, 3]) },
        { id: 'one <b>bold</b> name', onnx: small },
      ],
      briefProtocol,
      { onFailure: (id, reason) => void failures.set(id, reason) },
    );
    expect([...results.keys()].sort()).toEqual(['block', 'network', 'nothing', 'one <b>bold</b> name']);
    expect([...failures.keys()]).toEqual(['damaged']);
    const block = results.get('block')!;
    expect(block.latencyMs).toBeGreaterThan(results.get('nothing')!.latencyMs);
    expect(block).toMatchObject({ rounds: 2, cpuPerWall: null });
    // The page shows the figures, and takes nothing for markup.
    expect(await page.textContent('#measured-count')).toBe('4');
    const lines = await page.locator('#results li').allTextContents();
    expect(lines.filter((line) => line.includes('one <b>bold</b> name'))).toHaveLength(1);
    expect(await page.locator('#results b').count()).toBe(0);
    await page.waitForFunction("document.getElementById('state').textContent === 'Ready'");
    expect(errors).toEqual([]);
  });

  it('goes on in another page of the device when the first is closed in the middle: nothing is lost or measured twice', async () => {
    let current = await open(agent, NO_GPU);
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
            await current.close();
            await sleep(800);
            current = await open(agent, NO_GPU);
          })();
        },
      },
    );
    await reopened;
    expect([...results.keys()].sort()).toEqual(models.map(({ id }) => id));
    expect(new Set(told).size).toBe(told.length);
    expect([...results.values()]).toEqual(kept);
    expect(logger.lines.join('\n')).toMatch(/"browser-test" is paused: no page of the device is open/);
    expect(current.errors).toEqual([]);
  });

  it('loses nothing where the network is cut and comes back: the same page goes on', async () => {
    const network = await startProxy(agent.port);
    const { page, errors } = await open(throughProxy(network), NO_GPU);
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
    await page.close();
    await network.close();
  });

  it('waits while the page is hidden, and says so', async () => {
    const { page, errors } = await open(agent, NO_GPU);
    // Headless pages are always visible: what the browser tells pages is played.
    const setVisibility = (state: 'hidden' | 'visible'): Promise<unknown> =>
      page.evaluate(`
        Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => '${state}' });
        document.dispatchEvent(new Event('visibilitychange'));
      `);
    await setVisibility('hidden');
    const logger = listeningLogger();
    let settled = false;
    const measuring = measureModels(profile, [{ id: 'a', onnx: small }], briefProtocol, { logger }).finally(
      () => (settled = true),
    );
    await page.waitForSelector('#notice:not([hidden])');
    expect(await page.textContent('#notice')).toContain('the page is hidden');
    expect(settled).toBe(false);
    await setVisibility('visible');
    expect((await measuring).size).toBe(1);
    expect(logger.lines.join('\n')).toContain('is paused: the page is hidden');
    await page.waitForSelector('#notice', { state: 'hidden' });
    expect(errors).toEqual([]);
  });

  it('measures in a page that is not isolated, with a coarse clock and one thread', async () => {
    // Pages from other machines are secure with https only.
    const { errors } = await open({ pageUrls: [agent.pageUrls[0]!.replace('localhost', 'device.test')] }, [
      ...NO_GPU,
      '--host-resolver-rules=MAP device.test 127.0.0.1',
    ]);
    const wanted = { ...profile, threads: 2 };
    const connection = await connectDevice(wanted);
    await connection.close();
    expect(connection.fingerprint).toMatchObject({ timer: 'wall, not isolated', settings: { threads: 1 } });
    const results = await measureModels(wanted, [{ id: 'nothing', onnx: nullModel }], briefProtocol);
    // An empty call takes less than a step of this clock; sampler.test.ts has the arithmetic.
    expect([...results.keys()]).toEqual(['nothing']);
    expect(errors).toEqual([]);
  });

  it('goes on by itself when the agent was killed and is started again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ofakit-browser-agent-'));
    const tokenFile = join(folder, 'token');
    const start = (port: number): Promise<AgentProcess> =>
      startAgentProcess(['--browser', '--port', `${port}`, '--token-file', tokenFile, '--folder', folder]);
    let agentProcess = await start(0);
    const { url, port, pages } = agentProcess;
    try {
      const { page, errors } = await open({ pageUrls: pages! }, NO_GPU);
      let restarted: Promise<void> | undefined;
      const told: string[] = [];
      const models = Array.from({ length: 4 }, (_, i) => ({ id: `model ${i}`, onnx: small }));
      const device: DeviceProfile = { ...profile, transport: { kind: 'remote', url, tokenFile } };
      const results = await measureModels(
        device,
        models,
        { ...slower, interleave: 2 },
        {
          onResult(id) {
            told.push(id);
            restarted ??= (async () => {
              await agentProcess.end('SIGKILL');
              agentProcess = await start(port);
            })();
          },
        },
      );
      await restarted;
      expect([...results.keys()].sort()).toEqual(models.map(({ id }) => id));
      expect(new Set(told).size).toBe(told.length);
      expect(errors).toEqual([]);
      await page.close();
    } finally {
      expect(await agentProcess.end('SIGTERM')).toBe(0);
      await rm(folder, { recursive: true });
    }
  });

  it('asks for the token where the address has none or a wrong one', async () => {
    const wrong = agent.pageUrls[0]!.replace(/#.*/, '#a-wrong-token-it-is');
    const { page } = await open({ pageUrls: [wrong] }, NO_GPU);
    await page.waitForSelector('#token-form:not([hidden])');
    expect(await page.textContent('#link')).toBe('wrong token');
    expect(await page.textContent('#detail')).toMatch(/^The agent refuses this token/);
    const { page: bare } = await open({ pageUrls: [wrong.replace(/#.*/, '')] }, NO_GPU);
    expect(await bare.textContent('#link')).toBe('no token');
    expect(await bare.textContent('#detail')).toMatch(/^The address has no token/);
    expect(await bare.isVisible('#token-form')).toBe(true);
    await page.fill('#token', decodeURIComponent(agent.pageUrls[0]!.split('#')[1]!));
    await page.click('#token-form button');
    await page.waitForSelector('#link[data-state="connected"]');
  });

  it('is missed at once by who tries the device, also when it closes in the middle; no job stays', async () => {
    const lonely = await startTestBrowserAgent({ graceMs: 100, pausedEveryMs: 200 });
    onTestFinished(() => lonely.agent.remove());
    const jobs = (): string[] => readdirSync(join(lonely.agent.folder, 'jobs'));
    await expect(connectDevice(lonely.profile)).rejects.toThrow(
      /Cannot use device "browser-test": .*none has the agent's page open: open http:\/\/localhost:\d+\/ on the device/,
    );
    expect(jobs()).toEqual([]);
    const { close } = await open(lonely.agent, NO_GPU);
    const connection = await connectDevice(lonely.profile);
    await close();
    await expect(tryDevice(connection, lonely.profile)).rejects.toThrow(
      /^Cannot measure on device "browser-test": it is paused: no page of the device is open/,
    );
    await expect.poll(jobs).toEqual([]);
    await connection.close();
    await expect(connectDevice(lonely.profile)).rejects.toThrow(/none has the agent's page open/);
  });

  it('measures on WebGPU, and finds out what it leaves to the CPU', async () => {
    const { errors } = await open(agent, SOFTWARE_WEBGPU);
    const webgpu: DeviceProfile = { ...profile, provider: { name: 'webgpu', options: {} } };
    const connection = await connectDevice(webgpu);
    await connection.close();
    expect(connection.fingerprint.gpu).toMatch(/swiftshader.*software/);
    const failures = new Map<string, string>();
    const models = [
      { id: 'block', onnx: blockModel(28) },
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
  }, 120_000);
});
