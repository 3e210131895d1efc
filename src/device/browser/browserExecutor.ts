/**
 * A browser as it takes jobs. Tabs come and go; one works, and a job waits for a tab of the same device when it is gone:
 * nothing that was told is asked again, and nothing that another device says is taken for an answer. Knows no HTTP.
 */
import { UserError } from '../../util/errors.js';
import type { Executor } from '../executor.js';
import { modelHash, type DeviceFingerprint } from '../fingerprint.js';
import { checkProvider } from '../providers.js';
import { referenceModels } from '../referenceModels.js';
import type { RuntimeSettings } from '../settings.js';
import type { DeviceConnection, MeasureEvent, MeasureJob } from '../transport.js';
import { BrowserRun, MAX_LOSSES } from './browserRun.js';
import type { Hello, Order, Report, TabDevice, WorkOrder } from './messages.js';
import { checkSettings, describeDevice, effectiveSettings, machineOf, sameDevice } from './tabDevice.js';

const IDLE = 'waiting for work';

export interface BrowserExecutorOptions {
  /** Version of onnxruntime-web that the page gets, and where. */
  readonly runtime: { readonly version: string; readonly url: string };
  /** Told to users who must open the page. */
  readonly pageUrl: () => string;
  /** How long a host waits for the first browser. Default 15 s. */
  readonly firstTabMs?: number;
  /** A page that works and tells nothing for so long is said to be paused. Default 30 s. */
  readonly silenceMs?: number;
  /** A page that is gone has so long to come back before another one of the same device takes its work. Default 3 s. */
  readonly graceMs?: number;
  /** How often a pause is told. Default 15 s. */
  readonly pausedEveryMs?: number;
  /** Told when a device comes, goes, or another one takes its place. */
  readonly onDevice?: (description: string) => void;
}

/** A page with a stream to it. */
interface Tab {
  readonly id: string;
  readonly device: TabDevice;
  send(order: Order): void;
  /** When it last told anything, in ms of `performance.now()`. */
  seen: number;
}

/** A page that has told nothing for so long is taken for asleep or dead where another one can work: they tell every 10 s. */
const FRESH_MS = 30_000;

/** What a stream's end has to call. */
export interface TabHandle {
  close(): void;
}

export class BrowserExecutor implements Executor {
  private readonly tabs = new Map<string, Tab>();
  /** The tab that works, or would. */
  private active: Tab | undefined;
  /** The page that has the attempt of the run. */
  private worker: Tab | undefined;
  /** The last device that worked, or would have. */
  private device: TabDevice | undefined;
  private readonly firstTab = new Set<() => void>();
  private run: BrowserRun | undefined;
  private silence: NodeJS.Timeout | undefined;
  /** Content of the reference models by hash. */
  private readonly references: ReadonlyMap<string, Uint8Array>;
  private readonly referenceHashes: WorkOrder['references'];

  constructor(private readonly options: BrowserExecutorOptions) {
    const { empty, small, large } = referenceModels();
    this.referenceHashes = { empty: modelHash(empty), small: modelHash(small), large: modelHash(large) };
    this.references = new Map([empty, small, large].map((onnx) => [modelHash(onnx), onnx]));
  }

  async connect(wanted: RuntimeSettings, logger: { warn(message: string): void }): Promise<DeviceConnection> {
    // Before anybody waits for a browser.
    checkProvider(wanted.provider, 'browser');
    const device = this.device ?? (await this.waitForDevice());
    checkSettings(wanted, device, (note) => logger.warn(note));
    const settings = effectiveSettings(wanted, device);
    const fingerprint: DeviceFingerprint = {
      ...machineOf(device, this.options.runtime.version, settings.provider.name),
      settings,
    };
    return {
      fingerprint,
      run: (job, onEvent, signal) => this.carryOut({ ...job, settings }, device, onEvent, signal),
      close: () => Promise.resolve(),
    };
  }

  /** A job waits for its page; whoever asks for a device wants to hear at once that there is none. */
  checkReady({ provider }: RuntimeSettings): void {
    checkProvider(provider, 'browser');
    if (this.tabs.size === 0) throw this.noPage("has the agent's page open");
  }

  private noPage(none: string): UserError {
    return new UserError(
      `Cannot measure in a browser: none ${none}: open ${this.options.pageUrl()} on the device, and ask again`,
    );
  }

  private async waitForDevice(): Promise<TabDevice> {
    const { firstTabMs = 15_000 } = this.options;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.firstTab.delete(done);
        resolve();
      };
      const timer = setTimeout(done, firstTabMs);
      this.firstTab.add(done);
    });
    if (this.device !== undefined) return this.device;
    throw this.noPage("has opened the agent's page");
  }

  private async carryOut(
    job: MeasureJob,
    device: TabDevice,
    onEvent: (event: MeasureEvent) => void,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (this.run !== undefined) throw new RangeError('Cannot carry out two jobs at a time in a browser');
    if (signal?.aborted) return 'it was stopped';
    const run = new BrowserRun(job, device, onEvent, this.options.pausedEveryMs ?? 15_000);
    this.run = run;
    this.worker = undefined;
    const onAbort = (): void => run.end('it was stopped');
    signal?.addEventListener('abort', onAbort, { once: true });
    this.choose();
    try {
      return await run.ended;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      clearTimeout(this.silence);
      this.run = undefined;
      this.worker = undefined;
      this.choose();
    }
  }

  /** A page has come, or come back. Orders for it go to `send` until the handle is closed. */
  open(id: string, { device, attempt }: Hello, send: (order: Order) => void): TabHandle {
    const before = this.tabs.get(id);
    const tab: Tab = { id, device, send, seen: performance.now() };
    // At the end: the newest comes last.
    this.tabs.delete(id);
    this.tabs.set(id, tab);
    if (this.active === before) this.active = undefined;
    const { run } = this;
    if (run?.attempt != null && run.attempt === attempt && this.fits(tab)) {
      this.activate(tab);
      this.worker = tab;
      run.work();
      tab.send({ type: 'resume', attempt, after: run.told });
      this.watchSilence();
    } else this.choose();
    if (this.active !== tab) tab.send({ type: 'wait', reason: this.whyStandby(tab) });
    return { close: () => this.leave(tab) };
  }

  private leave(tab: Tab): void {
    // A stream that was replaced by a newer one of the same page ends without consequence.
    if (this.tabs.get(tab.id) !== tab) return;
    this.tabs.delete(tab.id);
    if (this.active !== tab) return;
    this.active = undefined;
    this.options.onDevice?.(`${describeDevice(tab.device)}: gone`);
    if (this.run !== undefined && !this.run.over) this.run.wait(this.whyPaused(this.run));
    // It may come back and go on: another page would begin anew.
    setTimeout(() => this.choose(), this.options.graceMs ?? 3000).unref();
  }

  /** Whether a page may work on what is to be done: it is on the device that was asked for. */
  private fits(tab: Tab): boolean {
    const { run } = this;
    if (run === undefined) return true;
    const provider = run.job.settings.provider.name;
    const text = (device: TabDevice): string => JSON.stringify(machineOf(device, '', provider));
    return text(tab.device) === text(run.device);
  }

  private whyPaused({ device }: BrowserRun): string {
    return (
      `no page of the device is open (${describeDevice(device)}): open ${this.options.pageUrl()} there; ` +
      'the measurement goes on then'
    );
  }

  private whyStandby(tab: Tab): string {
    const { active, run } = this;
    if (active !== undefined) {
      return sameDevice(active.device, tab.device)
        ? 'another tab of this device is working: close one of them'
        : `another device is working: ${describeDevice(active.device)}`;
    }
    return run === undefined ? IDLE : `a measurement waits for another device: ${describeDevice(run.device)}`;
  }

  private activate(tab: Tab): void {
    this.active = tab;
    this.device = tab.device;
    this.options.onDevice?.(`${describeDevice(tab.device)}: here`);
    for (const done of [...this.firstTab]) done();
  }

  /** The active page, unless it is asleep or of another device while the newest of those that fit is not. */
  private pick(): Tab | undefined {
    const fitting = [...this.tabs.values()].filter((tab) => this.fits(tab)).reverse();
    const { active } = this;
    const fresh = (tab: Tab): boolean => performance.now() - tab.seen < FRESH_MS;
    if (active !== undefined && fitting.includes(active) && fresh(active)) return active;
    return fitting.find(fresh) ?? (active !== undefined && fitting.includes(active) ? active : fitting[0]);
  }

  /** Finds a page for what is to be done, and tells it. */
  private choose(): void {
    const { run } = this;
    const next = this.pick();
    if (next !== this.active) {
      const before = this.active;
      this.active = undefined;
      if (next !== undefined) this.activate(next);
      before?.send({ type: 'wait', reason: this.whyStandby(before) });
    }
    if (run === undefined || run.over) next?.send({ type: 'wait', reason: IDLE });
    else if (next === undefined) {
      this.worker = undefined;
      run.wait(this.whyPaused(run));
    } else if (next !== this.worker) {
      const order = run.begin(this.referenceHashes, this.options.runtime.url);
      if (order === undefined) return run.end(`its page was closed or died ${MAX_LOSSES} times at it`);
      this.worker = next;
      run.work();
      next.send(order);
      this.watchSilence();
    }
  }

  /** A page lives. */
  alive(id: string): void {
    const tab = this.tabs.get(id);
    if (tab !== undefined) tab.seen = performance.now();
    if (this.worker?.id === id) this.watchSilence();
  }

  /** Events of a page. Returns how many of the attempt have arrived; null where they are not wanted. */
  report(id: string, { attempt, first, events }: Report): number | null {
    this.alive(id);
    const { run } = this;
    if (run === undefined || run.over || run.attempt !== attempt) return null;
    // Events that follow some which did not come are asked for again, by number.
    if (first > run.told + 1) return run.told;
    for (const event of events.slice(run.told + 1 - first)) {
      run.told++;
      run.take(event);
      if (run.over) break;
    }
    return run.told;
  }

  /** A page that is asleep tells nothing and keeps its stream. */
  private watchSilence(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      const { run } = this;
      if (run === undefined || run.over) return;
      this.choose();
      if (!run.waiting) run.wait('the page does not answer: the screen is off, or the tab is hidden');
    }, this.options.silenceMs ?? 30_000);
    this.silence.unref();
  }

  /** Content of a model that somebody may ask for now. */
  model(hash: string): Uint8Array | undefined {
    return this.references.get(hash) ?? this.run?.job.models.find((model) => model.hash === hash)?.onnx;
  }
}
