/** What the page shows. Text only: nothing that arrives is taken for markup. */
import type { LatencyMeasurement } from '../../measurement.js';
import type { TabDevice, TabEvent, WorkOrder } from '../messages.js';
import { duration, milliseconds, shareDone, stepText } from './format.js';

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

/** A job as far as it is shown. */
interface Shown {
  readonly order: WorkOrder;
  readonly startMs: number;
  readonly steps: Map<string, number>;
  settled: number;
}

export class View {
  private shown: Shown | undefined;
  private longestMs = 0;
  private measured = 0;

  setLink(state: 'connecting' | 'connected' | 'refused'): void {
    const pill = part('link');
    pill.dataset['state'] = state;
    pill.textContent = state === 'refused' ? 'wrong token' : state;
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
          ? 'yes: threads, clock of 5 µs in Chromium'
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
    this.shown = { order, startMs: performance.now(), steps: new Map(), settled: 0 };
    const { settings } = order;
    const threads = settings.provider.name === 'wasm' ? `, ${settings.threads} threads` : '';
    this.state('Getting ready', `${settings.provider.name}${threads}`);
    this.progress(0);
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
        shown.steps.set(event.id, (shown.steps.get(event.id) ?? 0) + 1);
        this.setNotice(undefined);
        this.state('Measuring', stepText(event.id, event.step));
        break;
      case 'result':
        shown.settled++;
        this.addResult(event.id, event.measurement);
        break;
      case 'failed':
        shown.settled++;
        this.addLine(event.id, 'failed', event.reason, 'failed');
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
    const { protocol, models } = shown.order;
    const share = shareDone(shown.steps, shown.settled, models.length, protocol.rounds.min);
    this.progress(share);
    this.counts(shown, share);
  }

  private counts({ settled, order, startMs }: Shown, share = 0): void {
    part('count').textContent = `${settled}/${order.models.length}`;
    const spentMs = performance.now() - startMs;
    part('left').textContent = share < 0.05 ? '–' : duration((spentMs * (1 - share)) / share);
  }

  private addResult(id: string, { latencyMs, ciMs, flags, cpuOperators }: LatencyMeasurement): void {
    const [value, unit] = milliseconds(latencyMs);
    const latest = part('latest');
    latest.replaceChildren(value, ' ', create('small', '', unit));
    if (ciMs !== null) {
      const half = Math.round((50 * (ciMs[1] - ciMs[0])) / latencyMs);
      latest.append(create('small', '', ` ±${half} %`));
    }
    const notes = [...flags, ...(cpuOperators ?? []).map((name) => `${name} on the CPU`)];
    this.addLine(id, `${value} ${unit}`, notes.join(', '), '', latencyMs);
  }

  private addLine(id: string, value: string, note: string, className: string, latencyMs = 0): void {
    const list = part('results');
    const line = create('li', className, '');
    const name = create('span', 'name', id);
    name.title = id;
    line.append(name, create('span', 'value', value));
    if (note !== '') line.append(create('span', 'note', note));
    line.dataset['ms'] = `${latencyMs}`;
    list.prepend(line);
    while (list.children.length > MAX_LINES) list.lastElementChild?.remove();
    this.longestMs = Math.max(this.longestMs, latencyMs);
    for (const child of list.children) {
      if (child instanceof HTMLElement && this.longestMs > 0) {
        child.style.setProperty('--share', `${Number(child.dataset['ms']) / this.longestMs}`);
      }
    }
    part('no-results').hidden = true;
    if (className === '') part('measured-count').textContent = `${++this.measured}`;
  }

  /** Asks for the token, and calls `onToken` with it. */
  askToken(onToken: (token: string) => void): void {
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
