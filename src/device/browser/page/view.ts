/** What the page shows. Text only: nothing that arrives is taken for markup. */
import type { LatencyMeasurement, MeasurementFlag } from '../../measurement.js';
import { WorkDone } from '../../workDone.js';
import type { TabDevice, TabEvent, WorkOrder } from '../messages.js';
import type { Glimpse } from '../task.js';
import { duration, milliseconds, stepText } from './format.js';

/** Lines that are kept on the page. */
const MAX_LINES = 200;

function part(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page lacks "${id}"`);
  return element;
}

function create(tag: string, className: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

const LINK_TEXTS = {
  connecting: 'connecting',
  connected: 'connected',
  refused: 'wrong token',
  missing: 'no token',
} as const;

/** Flags of a measurement, for whoever looks at the page. */
const FLAGS: Readonly<Record<MeasurementFlag, string>> = {
  unstableWarmup: 'never settled while warming up',
  drift: 'the device changed its speed meanwhile',
  notConverged: 'still uncertain',
  contention: 'something else was running',
  belowOverhead: 'hardly longer than an empty call',
};

interface Line {
  readonly value: string;
  /** How far it may be off. */
  readonly spread?: string;
  readonly note?: string;
  /** Length of its bar. */
  readonly ms?: number;
  readonly state: 'open' | 'measured' | 'failed';
}

/** A job as far as it is shown. */
interface Shown {
  readonly order: WorkOrder;
  readonly startMs: number;
  readonly work: WorkDone;
}

export class View {
  private shown: Shown | undefined;
  private longestMs = 0;
  /** Of the job that is shown, by model. */
  private lines = new Map<string, HTMLElement>();
  private measured = 0;

  setLink(state: 'connecting' | 'connected' | 'refused' | 'missing'): void {
    const pill = part('link');
    pill.dataset['state'] = state;
    pill.textContent = LINK_TEXTS[state];
  }

  setDevice(device: TabDevice): void {
    const facts: readonly (readonly [string, string])[] = [
      ['Browser', device.browser],
      ['System', [device.os, device.arch].filter((text) => text !== '').join(', ')],
      ['Processors', `${device.cores}`],
      ['WebGPU', device.gpu ?? 'none'],
      [
        'Isolated',
        device.isolated
          ? 'yes: threads and a fine clock'
          : 'no: one thread and a coarse clock. It takes an address with https, or http://localhost',
      ],
    ];
    part('device').replaceChildren(
      ...facts.map(([name, value]) => {
        const row = document.createElement('div');
        row.append(create('dt', '', name), create('dd', '', value));
        return row;
      }),
    );
  }

  setNotice(text: string | undefined): void {
    const notice = part('notice');
    notice.hidden = text === undefined;
    notice.textContent = text ?? '';
  }

  setWake(held: boolean): void {
    part('wake').textContent = held
      ? 'The screen is kept on. Keep this page in front while it measures.'
      : 'Keep this page in front and the screen on while it measures.';
  }

  private state(title: string, detail: string): void {
    part('state').textContent = title;
    part('detail').textContent = detail;
    document.title = `${title} · ofakit device`;
  }

  private progress(share: number): void {
    const percent = Math.round(100 * share);
    part('progress-fill').style.width = `${percent}%`;
    part('progress').setAttribute('aria-valuenow', `${percent}`);
  }

  wait(reason: string): void {
    this.shown = undefined;
    const idle = reason === 'waiting for work';
    this.state(
      idle ? 'Ready' : 'Standing by',
      idle ? 'Waiting for a computer that wants something measured.' : reason,
    );
    this.progress(0);
    part('count').textContent = '–';
    part('left').textContent = '–';
  }

  begin(order: WorkOrder): void {
    this.shown = { order, startMs: performance.now(), work: new WorkDone(order.protocol.rounds.min) };
    for (const line of this.lines.values()) if (line.className === 'open') line.remove();
    this.lines = new Map();
    const { settings } = order;
    const threads = settings.provider.name === 'wasm' ? `, ${settings.threads} threads` : '';
    this.state('Getting ready', `${settings.provider.name}${threads}`);
    this.counts(this.shown);
  }

  download(bytes: number, total: number): void {
    const mib = (count: number): string => (count / 2 ** 20).toFixed(1);
    this.state('Getting models', `${mib(bytes)} of ${mib(Math.max(bytes, total))} MiB`);
  }

  take(event: TabEvent): void {
    const { shown } = this;
    if (shown === undefined) return;
    switch (event.type) {
      case 'step':
        shown.work.step(event.id);
        this.setNotice(undefined);
        this.state('Measuring', stepText(event.id, event.step));
        break;
      case 'result':
        shown.work.settle(event.id);
        this.addResult(event.id, event.measurement);
        break;
      case 'failed':
        shown.work.settle(event.id);
        this.setLine(event.id, { value: 'failed', note: event.reason, state: 'failed' });
        break;
      case 'paused':
        this.setNotice(`Paused: ${event.reason}`);
        break;
      case 'unusable':
      case 'lost':
        this.setNotice(`Cannot measure: ${event.reason}`);
        break;
      case 'done':
        break;
    }
    this.counts(shown);
  }

  private counts({ work, order: { models }, startMs }: Shown): void {
    // A job without models asks only whether the provider is there.
    const share = models.length === 0 ? 0 : work.models / models.length;
    this.progress(share);
    part('count').textContent = `${work.settled}/${models.length}`;
    const spentMs = performance.now() - startMs;
    part('left').textContent = share < 0.05 ? '–' : duration((spentMs * (1 - share)) / share);
  }

  /** What a round came to: not yet the figure. */
  glimpse({ id, medianMs }: Glimpse): void {
    if (this.shown === undefined) return;
    this.latest(medianMs, '');
    this.setLine(id, { value: `≈ ${milliseconds(medianMs).join(' ')}`, ms: medianMs, state: 'open' });
  }

  private latest(ms: number, spread: string): void {
    const [value, unit] = milliseconds(ms);
    part('latest').replaceChildren(value, ' ', create('small', '', `${unit}${spread}`));
  }

  private addResult(id: string, { latencyMs, ciMs, flags, cpuOperators }: LatencyMeasurement): void {
    const percent = ciMs === null ? Infinity : Math.round((50 * (ciMs[1] - ciMs[0])) / latencyMs);
    // Beyond that a figure says nothing, and the flags say why.
    const half = percent > 100 ? '' : ` ±${percent} %`;
    this.latest(latencyMs, half);
    const notes = [
      ...flags.map((flag) => FLAGS[flag]),
      ...(cpuOperators ?? []).map((name) => `${name} ran on the CPU`),
    ];
    const value = milliseconds(latencyMs).join(' ');
    this.setLine(id, { value, spread: half, note: notes.join('; '), ms: latencyMs, state: 'measured' });
    part('measured-count').textContent = `${++this.measured}`;
  }

  /** One line for each model of the job; lines of earlier jobs stay below. */
  private setLine(id: string, { value, spread = '', note = '', ms = 0, state }: Line): void {
    const list = part('results');
    let line = this.lines.get(id);
    if (line === undefined) {
      line = create('li', '', '');
      list.prepend(line);
      this.lines.set(id, line);
      while (list.children.length > MAX_LINES) list.lastElementChild?.remove();
    }
    line.className = state;
    line.dataset['ms'] = `${ms}`;
    const figure = create('span', 'value', value);
    figure.append(create('small', '', spread));
    line.replaceChildren(create('span', 'name', id), figure);
    if (note !== '') line.append(create('span', 'note', note));
    this.longestMs = Math.max(this.longestMs, ms);
    for (const child of list.children) {
      if (child instanceof HTMLElement && this.longestMs > 0) {
        child.style.setProperty('--share', `${Number(child.dataset['ms']) / this.longestMs}`);
      }
    }
    part('no-results').hidden = true;
  }

  /** Asks for the token, says why, and calls `onToken` with it. */
  askToken(why: string, onToken: (token: string) => void): void {
    this.state('Not connected', why);
    const form = part('token-form');
    form.hidden = false;
    form.onsubmit = (event) => {
      event.preventDefault();
      const input = part('token');
      if (input instanceof HTMLInputElement) onToken(input.value.trim());
    };
    part('token').focus();
  }
}
