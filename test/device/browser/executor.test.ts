/** The agent's side of browsers, with pages that are played: what happens when they come, go, and lie. */
import fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  BrowserExecutor,
  type BrowserExecutorOptions,
  type TabHandle,
} from '../../../src/device/browser/browserExecutor.js';
import type { Order, TabDevice, TabEvent, WorkOrder } from '../../../src/device/browser/messages.js';
import { describeDevice } from '../../../src/device/browser/tabDevice.js';
import { deviceKey, modelHash } from '../../../src/device/fingerprint.js';
import { measurementSchema, type LatencyMeasurement } from '../../../src/device/measurement.js';
import type { RuntimeSettings } from '../../../src/device/settings.js';
import type { MeasureEvent, MeasureJob } from '../../../src/device/transport.js';
import { briefProtocol } from '../../support/briefProtocol.js';
import { listeningLogger, localProfile } from '../support/agent.js';
import { runtimeSettings } from '../../../src/device/profile.js';

const phone: TabDevice = {
  os: 'Android 14 Pixel 8',
  arch: 'arm 64',
  browser: 'Chrome 139',
  cores: 9,
  gpu: 'arm valhall',
  isolated: true,
};
const laptop: TabDevice = { ...phone, os: 'Windows 11', arch: 'x86 64', cores: 12, gpu: 'intel gen-12lp' };

const wasm = (threads = 1): RuntimeSettings => ({
  ...runtimeSettings(localProfile),
  provider: { name: 'wasm', options: {} },
  threads,
});

const measurement: LatencyMeasurement = measurementSchema.parse({
  latencyMs: 1,
  rawMs: 1.1,
  overheadMs: 0.1,
  p90Ms: null,
  minMs: 1,
  meanMs: 1,
  madMs: 0,
  ciMs: [1, 1],
  samples: 6,
  rounds: 2,
  repeats: 1,
  lag1: 0,
  mildOutliers: 0,
  severeOutliers: 0,
  cpuPerWall: null,
  warmupRuns: 10,
  firstRunMs: 2,
  sentinelMs: 3,
  redone: 0,
  flags: [],
});
const result = (id: string, latencyMs = 1): TabEvent => ({
  type: 'result',
  id,
  measurement: { ...measurement, latencyMs },
});
const step = (id: string): TabEvent => ({ type: 'step', id, step: 'round' });

function jobOf(ids: readonly string[], settings = wasm()): MeasureJob {
  const models = ids.map((id) => {
    const onnx = new TextEncoder().encode(id);
    return { id, hash: modelHash(onnx), onnx };
  });
  return { settings, protocol: briefProtocol, seed: 1, models };
}

const uuid = (n: number): string => `00000000-0000-4000-8000-${n.toString().padStart(12, '0')}`;

/** A page as the executor sees it. */
class FakePage {
  readonly orders: Order[] = [];
  handle: TabHandle | undefined;
  private sent = 0;

  constructor(
    private readonly executor: BrowserExecutor,
    readonly id: string,
    readonly device: TabDevice,
  ) {}

  connect(attempt: string | null = null): this {
    this.handle = this.executor.open(this.id, { device: this.device, attempt }, (order) => {
      this.orders.push(order);
    });
    return this;
  }

  disconnect(): void {
    this.handle?.close();
  }

  /** What it was last told to do, if that is work. */
  get work(): WorkOrder | undefined {
    const last = this.orders.filter(({ type }) => type !== 'resume').at(-1);
    return last?.type === 'work' ? last : undefined;
  }

  /** Tells the next events of the current work. */
  tell(...events: TabEvent[]): number | null {
    const { work } = this;
    if (work === undefined) throw new Error('This page has no work');
    if (work.attempt !== this.attempt) [this.attempt, this.sent] = [work.attempt, 0];
    const first = this.sent + 1;
    this.sent += events.length;
    return this.executor.report(this.id, { attempt: work.attempt, first, events });
  }
  private attempt = '';
}

let pages = 0;

function setup(options: Partial<BrowserExecutorOptions> = {}): {
  executor: BrowserExecutor;
  page: (device?: TabDevice) => FakePage;
} {
  const executor = new BrowserExecutor({
    runtime: { version: '1.30.0', url: '/runtime/1.30.0/' },
    pageUrl: () => 'http://localhost:8753/',
    graceMs: 0,
    firstTabMs: 20,
    ...options,
  });
  return { executor, page: (device = phone) => new FakePage(executor, uuid(++pages), device) };
}

/** Starts a job and keeps what it tells. */
async function start(
  executor: BrowserExecutor,
  job: MeasureJob,
): Promise<{ events: MeasureEvent[]; ended: Promise<string | undefined>; stop: AbortController }> {
  const connection = await executor.connect(job.settings, listeningLogger());
  const events: MeasureEvent[] = [];
  const stop = new AbortController();
  const ended = connection.run(job, (event) => void events.push(event), stop.signal);
  // A test that fails must not leave timers behind.
  onTestFinished(() => stop.abort());
  return { events, ended, stop };
}

const outcomes = (events: readonly MeasureEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'result' || event.type === 'failed' ? [event.id] : []));
const types = (events: readonly MeasureEvent[]): string[] => events.map(({ type }) => type);

describe('a browser as a device', () => {
  it('says at once that no page is open, also where one was', () => {
    const { executor, page } = setup();
    const none =
      /^Cannot measure in a browser: none has the agent's page open: open http:\/\/localhost:8753\//;
    expect(() => executor.checkReady(wasm())).toThrow(none);
    const opened = page().connect();
    executor.checkReady(wasm());
    opened.disconnect();
    expect(() => executor.checkReady(wasm())).toThrow(none);
    expect(() => executor.checkReady({ ...wasm(), provider: { name: 'cpu', options: {} } })).toThrow(/"cpu"/);
  });

  it('says where to go when no browser has come, and waits for the first for a while', async () => {
    const { executor, page } = setup({ firstTabMs: 200 });
    await expect(setup().executor.connect(wasm(), listeningLogger())).rejects.toThrow(
      /none has opened the agent's page: open http:\/\/localhost:8753\/ on the device/,
    );
    const connecting = executor.connect(wasm(), listeningLogger());
    page().connect();
    expect((await connecting).fingerprint.host).toBe('Chrome 139');
  });

  it('is identified by what it is and by the settings as they take effect', async () => {
    const { executor, page } = setup();
    page().connect();
    const logger = listeningLogger();
    const { fingerprint } = await executor.connect({ ...wasm(4), pin: [0] }, logger);
    expect(fingerprint).toMatchObject({
      cores: 9,
      runtime: 'onnxruntime-web 1.30.0',
      timer: 'wall, cross-origin isolated',
      settings: { threads: 4, pin: null, spinning: true },
    });
    expect(logger.lines.join()).toContain('cannot be bound');
    // WebAssembly computes on the CPU: whatever the GPU is called does not matter.
    expect(fingerprint.gpu).toBeUndefined();
    const webgpu = { ...wasm(), provider: { name: 'webgpu', options: {} } };
    expect((await executor.connect(webgpu, logger)).fingerprint).toMatchObject({ gpu: 'arm valhall' });
    expect(describeDevice(phone)).toBe('Android 14 Pixel 8, Chrome 139, 9 cores, arm valhall');
  });

  it('measures with one thread where the page is not isolated, and says so', async () => {
    const { executor, page } = setup();
    page({ ...phone, isolated: false }).connect();
    const logger = listeningLogger();
    const { fingerprint } = await executor.connect(wasm(4), logger);
    expect(fingerprint).toMatchObject({
      timer: 'wall, not isolated',
      settings: { threads: 1, spinning: false },
    });
    expect(logger.lines.join()).toContain('measuring with one thread instead of 4');
  });

  it.each<[string, Partial<RuntimeSettings>, Partial<TabDevice>, RegExp]>([
    ['WebGPU that is not there', { provider: { name: 'webgpu', options: {} } }, { gpu: null }, /no WebGPU/],
    ['more threads than processors', { threads: 10 }, {}, /at most 9: current value is 10/],
    ['another precision', { precision: 'int8' }, {}, /float32: precision is int8/],
    ['a provider of other runtimes', { provider: { name: 'cuda', options: {} } }, {}, /has wasm, webgpu/],
    ['unknown options', { provider: { name: 'wasm', options: { simd: true } } }, {}, /simd/],
  ])('refuses %s', async (_, settings, device, message) => {
    const { executor, page } = setup();
    page({ ...phone, ...device }).connect();
    await expect(executor.connect({ ...wasm(), ...settings }, listeningLogger())).rejects.toThrow(message);
  });

  it('carries a job and hands out its models and the reference models, and nothing else', async () => {
    const { executor, page } = setup();
    const tab = page().connect();
    const job = jobOf(['a', 'b']);
    const { events, ended } = await start(executor, job);
    const { models, references, settings } = tab.work!;
    expect(models.map(({ id, bytes }) => [id, bytes])).toEqual([
      ['a', 1],
      ['b', 1],
    ]);
    expect(settings).toEqual(job.settings);
    expect(executor.model(job.models[0]!.hash)).toEqual(job.models[0]!.onnx);
    expect(executor.model(references.large)!.length).toBeGreaterThan(
      executor.model(references.empty)!.length,
    );
    expect(executor.model('0'.repeat(64))).toBeUndefined();
    expect(tab.tell(step('a'), result('a'))).toBe(2);
    expect(tab.tell(step('b'), { type: 'failed', id: 'b', reason: 'no' }, { type: 'done' })).toBe(5);
    expect(await ended).toBeUndefined();
    expect(types(events)).toEqual(['step', 'result', 'step', 'failed', 'done']);
    expect(executor.model(job.models[0]!.hash)).toBeUndefined();
    expect(tab.orders.at(-1)).toMatchObject({ type: 'wait' });
  });

  it('takes every event once, in order, however requests are repeated', async () => {
    const { executor, page } = setup();
    const tab = page().connect();
    const { events } = await start(executor, jobOf(['a', 'b']));
    const { attempt } = tab.work!;
    const told = [step('a'), result('a'), step('b')];
    const report = (first: number, list: TabEvent[]): number | null =>
      executor.report(tab.id, { attempt, first, events: list });
    expect(report(2, told.slice(1))).toBe(0);
    expect(report(1, told.slice(0, 2))).toBe(2);
    expect(report(1, told)).toBe(3);
    expect(report(1, told)).toBe(3);
    expect(types(events)).toEqual(['step', 'result', 'step']);
    expect(executor.report(tab.id, { attempt: uuid(0), first: 1, events: [result('b')] })).toBeNull();
  });

  it('goes on where the stream of the same page broke, without beginning again', async () => {
    const { executor, page } = setup();
    const tab = page().connect();
    const { events, ended } = await start(executor, jobOf(['a', 'b']));
    tab.tell(step('a'), result('a'));
    const { attempt } = tab.work!;
    tab.disconnect();
    expect(types(events).at(-1)).toBe('paused');
    tab.connect(attempt);
    expect(tab.orders.at(-1)).toEqual({ type: 'resume', attempt, after: 2 });
    tab.tell(step('b'), result('b'), { type: 'done' });
    expect(await ended).toBeUndefined();
    expect(outcomes(events)).toEqual(['a', 'b']);
  });

  it('waits for a page of the same device, which measures what is left; another device may not', async () => {
    const { executor, page } = setup({ pausedEveryMs: 10 });
    const first = page().connect();
    const { events, ended } = await start(executor, jobOf(['a', 'b', 'c']));
    first.tell(step('a'), result('a'), step('b'));
    const old = first.work!;
    first.disconnect();
    const stranger = page(laptop).connect();
    await sleep(50);
    expect(stranger.work).toBeUndefined();
    expect(stranger.orders.at(-1)).toMatchObject({
      type: 'wait',
      reason: expect.stringContaining('waits for another device: Android 14') as string,
    });
    // Told again and again: a sign of life.
    const pauses = events.filter((event) => event.type === 'paused');
    expect(pauses.length).toBeGreaterThan(2);
    expect(pauses[0]!.reason).toMatch(/no page of the device is open .* open http:\/\/localhost:8753\//);

    const again = page().connect();
    expect(again.work!.models.map(({ id }) => id)).toEqual(['b', 'c']);
    // What the closed page still says comes too late.
    expect(
      executor.report(first.id, { attempt: old.attempt, first: 4, events: [result('b', 99)] }),
    ).toBeNull();
    again.tell(step('b'), result('b'), step('c'), result('c'), { type: 'done' });
    expect(await ended).toBeUndefined();
    expect(outcomes(events)).toEqual(['a', 'b', 'c']);
    expect(events).not.toContainEqual(result('b', 99));
  });

  it('gives a page that is gone time to come back before another page of the device takes over', async () => {
    const { executor, page } = setup({ graceMs: 60 });
    const first = page().connect();
    await start(executor, jobOf(['a']));
    const second = page().connect();
    expect(second.orders.at(-1)).toMatchObject({ reason: expect.stringContaining('another tab') as string });
    first.disconnect();
    expect(second.work).toBeUndefined();
    await sleep(100);
    expect(second.work!.models.map(({ id }) => id)).toEqual(['a']);
  });

  it('blames a model that has cost three pages', async () => {
    const { executor, page } = setup();
    const { events, ended } = await (async () => {
      page().connect().disconnect();
      return start(executor, jobOf(['a', 'deadly']));
    })();
    for (let i = 0; i < 3; i++) {
      const tab = page().connect();
      if (i === 0) tab.tell(step('a'), result('a'));
      tab.tell(step('deadly'));
      tab.disconnect();
    }
    page().connect();
    expect(await ended).toBe('its page was closed or died 3 times at it');
    expect(events.filter(({ type }) => type === 'step').at(-1)).toEqual(step('deadly'));
  });

  it('passes on what the page says of its worker and of being hidden', async () => {
    const { executor, page } = setup({ pausedEveryMs: 10 });
    const tab = page().connect();
    const { events, ended } = await start(executor, jobOf(['a']));
    tab.tell(step('a'), { type: 'paused', reason: 'the page is hidden' });
    await sleep(50);
    expect(events.filter((event) => event.type === 'paused').length).toBeGreaterThan(2);
    tab.tell(step('a'));
    const count = events.length;
    await sleep(30);
    expect(events).toHaveLength(count);
    tab.tell({ type: 'lost', reason: 'it gave no sign of life for 60 s' });
    expect(await ended).toBe('it gave no sign of life for 60 s');
  });

  it('says when a page has fallen silent, and lets another one of the device go on', async () => {
    const { executor, page } = setup({ silenceMs: 30 });
    const tab = page().connect();
    const { events } = await start(executor, jobOf(['a']));
    await sleep(80);
    expect(events.at(-1)).toMatchObject({
      type: 'paused',
      reason: expect.stringContaining('screen') as string,
    });
    tab.tell(step('a'));
    expect(types(events).at(-1)).toBe('step');
  });

  it('stops when told to, before and after it began', async () => {
    const { executor, page } = setup();
    const tab = page().connect();
    const { ended, stop, events } = await start(executor, jobOf(['a']));
    const { attempt } = tab.work!;
    stop.abort();
    expect(await ended).toBe('it was stopped');
    expect(tab.orders.at(-1)).toMatchObject({ type: 'wait' });
    expect(executor.report(tab.id, { attempt, first: 1, events: [result('a')] })).toBeNull();
    expect(events).toEqual([]);
    const connection = await executor.connect(wasm(), listeningLogger());
    expect(await connection.run(jobOf(['a']), () => undefined, AbortSignal.abort())).toBe('it was stopped');
  });

  it('keeps its device while the next job comes, and takes another one when the page of the first is closed', async () => {
    const { executor, page } = setup();
    const first = page().connect();
    const key = async (): Promise<string> =>
      deviceKey((await executor.connect(wasm(), listeningLogger())).fingerprint);
    const before = await key();
    const second = page(laptop).connect();
    expect(await key()).toBe(before);
    first.disconnect();
    expect(await key()).toBe(before);
    await sleep(10);
    expect(await key()).not.toBe(before);
    expect(second.orders.at(-1)).toMatchObject({ type: 'wait', reason: 'waiting for work' });
  });

  it('has one outcome for each model whatever pages do, and none that another device told', async () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('open' as const), device: fc.constantFrom(phone, phone, laptop) }),
      fc.record({
        do: fc.constantFrom('close' as const, 'back' as const, 'repeat' as const),
        which: fc.nat(3),
      }),
      fc.record({ do: fc.constant('work' as const), which: fc.nat(3), model: fc.nat(3) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async (actions) => {
        const { executor, page } = setup({ pausedEveryMs: 1e6 });
        const tabs: FakePage[] = [page().connect()];
        const connection = await executor.connect(wasm(), listeningLogger());
        const ids = ['a', 'b', 'c', 'd'];
        const events: MeasureEvent[] = [];
        const stop = new AbortController();
        const ended = connection.run(jobOf(ids), (event) => void events.push(event), stop.signal);
        for (const todo of actions) {
          if (todo.do === 'open') tabs.push(page(todo.device).connect());
          else {
            const tab = tabs[todo.which % tabs.length]!;
            if (todo.do === 'close') tab.disconnect();
            else if (todo.do === 'back') tab.connect(tab.work?.attempt ?? null);
            else if (tab.work !== undefined) {
              const value = tab.device === phone ? 1 : 99;
              if (todo.do === 'work') tab.tell(step(ids[todo.model]!), result(ids[todo.model]!, value));
              else
                executor.report(tab.id, { attempt: tab.work.attempt, first: 1, events: [result('a', 77)] });
            }
          }
          // Grace is over at once.
          await sleep(0);
        }
        stop.abort();
        await ended;
        const settled = outcomes(events);
        expect(new Set(settled).size).toBe(settled.length);
        for (const event of events)
          if (event.type === 'result') expect(event.measurement.latencyMs).not.toBe(99);
      }),
      { numRuns: 40 },
    );
  });
});
