/** One order to measure, carried out: fetches models, has a worker measure them, tells the agent what comes of it. */
import { receiptSchema, type TabEvent, type WorkOrder } from '../messages.js';
import { runtimeFiles, type FromWorker, type Glimpse, type ToWorker } from '../task.js';
import { TokenError, type Link } from './link.js';

/** Events a request carries at most. */
const MAX_EVENTS = 100;
const RETRY_MS = 1000;
/** Of the watchdog. A page that was frozen for longer between two ticks was not waiting meanwhile. */
const TICK_MS = 1000;

export interface AttemptEvents {
  onEvent(event: TabEvent): void;
  onGlimpse(glimpse: Glimpse): void;
  /** Bytes of the runtime and the models that have come, of how many. */
  onDownload(bytes: number, total: number): void;
  /** Nothing more will come of it. */
  onEnd(): void;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Models by hash, as they travel once for a page. */
export type ModelCache = Map<string, Uint8Array>;

export class Attempt {
  readonly id: string;
  private readonly told: TabEvent[] = [];
  /** How many of `told` the agent has. */
  private delivered = 0;
  private delivering = false;
  private worker: Worker | undefined;
  private over = false;
  private silentMs = 0;
  private lastTick = performance.now();
  private readonly watchdog: number;

  constructor(
    readonly order: WorkOrder,
    private readonly link: Link,
    private readonly cache: ModelCache,
    private readonly events: AttemptEvents,
  ) {
    this.id = order.attempt;
    this.watchdog = window.setInterval(() => this.tick(), TICK_MS);
    void this.begin();
  }

  /** Whether everything is told and delivered, or nobody wants it. */
  get ended(): boolean {
    return this.over && this.delivered >= this.told.length;
  }

  /** Ends it; nobody wants to know more. */
  stop(): void {
    this.close();
    this.told.length = this.delivered;
  }

  /** The agent has so many of the events. */
  resume(after: number): void {
    this.delivered = Math.min(after, this.told.length);
    void this.deliver();
  }

  setVisible(visible: boolean): void {
    this.post({ type: 'visible', visible });
  }

  private post(message: ToWorker, transfer: Transferable[] = []): void {
    this.worker?.postMessage(message, transfer);
  }

  private close(): void {
    if (this.over) return;
    this.over = true;
    clearInterval(this.watchdog);
    this.worker?.terminate();
    this.worker = undefined;
    this.events.onEnd();
  }

  private tell(event: TabEvent): void {
    if (this.over) return;
    this.told.push(event);
    this.events.onEvent(event);
    if (event.type === 'done' || event.type === 'lost') this.close();
    void this.deliver();
  }

  /** Sends what the agent lacks, until it has all or does not want it. */
  private async deliver(): Promise<void> {
    if (this.delivering) return;
    this.delivering = true;
    try {
      while (this.delivered < this.told.length) {
        const events = this.told.slice(this.delivered, this.delivered + MAX_EVENTS);
        const body = { attempt: this.id, first: this.delivered + 1, events };
        try {
          const response = await this.link.tell('events', body);
          if (!response.ok) throw new Error(`the agent answers ${response.status}`);
          const { told } = receiptSchema.parse(await response.json());
          if (told === null) return this.stop();
          this.delivered = told;
        } catch (error) {
          if (error instanceof TokenError) return this.stop();
          await pause(RETRY_MS);
        }
      }
    } finally {
      this.delivering = false;
    }
  }

  /** A worker that tells nothing while the page is seen hangs. */
  private tick(): void {
    const now = performance.now();
    const elapsed = Math.min(now - this.lastTick, 2 * TICK_MS);
    this.lastTick = now;
    if (this.worker === undefined || document.visibilityState !== 'visible') return;
    this.silentMs += elapsed;
    const { timeoutMs } = this.order.protocol;
    if (this.silentMs > timeoutMs) {
      this.tell({ type: 'lost', reason: `it gave no sign of life for ${timeoutMs / 1000} s` });
    }
  }

  /** Content at an address; tries again while there is no network. Undefined where it is not wanted any more. */
  private async download(path: string, onBytes: (bytes: number) => void): Promise<Uint8Array | undefined> {
    while (!this.over) {
      try {
        const response = await this.link.get(path);
        if (response.status === 404) return undefined;
        if (!response.ok || response.body === null) throw new Error(`the agent answers ${response.status}`);
        const chunks: Uint8Array[] = [];
        let bytes = 0;
        for await (const chunk of response.body) {
          chunks.push(chunk);
          bytes += chunk.byteLength;
          onBytes(bytes);
        }
        const all = new Uint8Array(bytes);
        let offset = 0;
        for (const chunk of chunks) {
          all.set(chunk, offset);
          offset += chunk.byteLength;
        }
        return all;
      } catch (error) {
        if (error instanceof TokenError) return undefined;
        await pause(RETRY_MS);
      }
    }
    return undefined;
  }

  /** All that is needed, by hash. Undefined where the attempt is not wanted any more. */
  private async fetchModels(): Promise<ReadonlyMap<string, Uint8Array> | undefined> {
    const { models, references, settings, runtimeUrl } = this.order;
    const wanted = new Map(models.map(({ hash, bytes }) => [hash, bytes]));
    for (const hash of Object.values(references)) wanted.set(hash, 0);
    for (const hash of this.cache.keys()) if (!wanted.has(hash)) this.cache.delete(hash);
    // The runtime is only brought into the browser's cache: a worker that cannot load it could not try again.
    for (const file of runtimeFiles(settings.provider.name)) {
      if ((await this.download(`${runtimeUrl}${file}`, () => undefined)) === undefined) return undefined;
    }
    const missing = [...wanted].filter(([hash]) => !this.cache.has(hash));
    const total = missing.reduce((sum, [, bytes]) => sum + bytes, 0);
    let before = 0;
    for (const [hash, size] of missing) {
      const onBytes = (bytes: number): void => this.events.onDownload(before + bytes, total);
      const content = await this.download(`/browser/models/${hash}`, onBytes);
      if (content === undefined) return undefined;
      this.cache.set(hash, content);
      before += size;
    }
    return this.cache;
  }

  private async begin(): Promise<void> {
    const contents = await this.fetchModels();
    if (this.over) return;
    if (contents === undefined) return this.stop();
    const { settings, protocol, seed, models, references, runtimeUrl } = this.order;
    const worker = new Worker('/worker.js', { type: 'module' });
    this.worker = worker;
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      this.silentMs = 0;
      if (data.type === 'glimpse') this.events.onGlimpse(data);
      else this.tell(data);
    };
    worker.onerror = (error) => {
      error.preventDefault();
      this.tell({ type: 'lost', reason: `the worker died: ${error.message || 'no reason was given'}` });
    };
    // Copies: the cache keeps its own for another attempt.
    const content = (hash: string): Uint8Array => contents.get(hash)!.slice();
    const task = {
      settings,
      protocol,
      seed,
      models: models.map(({ id, hash }) => ({ id, onnx: content(hash) })),
      references: {
        empty: content(references.empty),
        small: content(references.small),
        large: content(references.large),
      },
      runtimeUrl: new URL(runtimeUrl, location.href).href,
    };
    this.post({ type: 'task', task, visible: document.visibilityState === 'visible' }, [
      ...task.models.map(({ onnx }) => onnx.buffer),
      ...Object.values(task.references).map(({ buffer }) => buffer),
    ]);
  }
}
