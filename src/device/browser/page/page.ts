/** The page that makes a browser a device: keeps the line to the agent, and carries out what it orders. */
import { ALIVE_MS, type Order } from '../messages.js';
import { Attempt, type ModelCache } from './attempt.js';
import { describeThisDevice } from './device.js';
import { openLink, type Link } from './link.js';
import { keepAwake } from './wakeLock.js';
import { View } from './view.js';

const TOKEN_KEY = 'ofakit-token';
const NO_TOKEN =
  'The address has no token. Open it as the agent printed it, with all that follows "#", or enter the token.';
const WRONG_TOKEN =
  'The agent refuses this token. It may have a new one: open the address that it prints now, or enter the token.';

/** As it is where it is not encoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** From the address (behind `#`, which no server is told), or from the last visit. */
function knownToken(): string | undefined {
  const [, given = ''] = /^#([\x21-\x7e]{1,512})$/.exec(location.hash) ?? [];
  return given !== '' ? decoded(given) : (localStorage.getItem(TOKEN_KEY) ?? undefined);
}

/** `crypto.randomUUID` is for secure pages only. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

async function main(): Promise<void> {
  const view = new View();
  const device = await describeThisDevice();
  view.setDevice(device);
  const token = knownToken();
  const restart = (entered: string): void => {
    localStorage.setItem(TOKEN_KEY, entered);
    location.hash = '';
    location.reload();
  };
  if (token === undefined) {
    view.setLink('missing');
    view.askToken(NO_TOKEN, restart);
    return;
  }

  const cache: ModelCache = new Map();
  const wake = keepAwake((held) => view.setWake(held));
  let attempt: Attempt | undefined;

  const carryOut = (order: Order, line: Link): void => {
    if (order.type === 'resume') {
      if (attempt?.id === order.attempt) attempt.resume(order.after);
      return;
    }
    attempt?.stop();
    attempt = undefined;
    view.setNotice(undefined);
    if (order.type === 'wait') {
      wake(false);
      view.wait(order.reason);
      return;
    }
    wake(true);
    view.begin(order);
    attempt = new Attempt(order, line, cache, {
      onEvent: (event) => view.take(event),
      onGlimpse: (glimpse) => view.glimpse(glimpse),
      onDownload: (bytes, total) => view.download(bytes, total),
      onEnd: () => undefined,
    });
  };

  const link = openLink(randomId(), token, {
    hello: () => ({ device, attempt: attempt === undefined || attempt.ended ? null : attempt.id }),
    onOrder: (order) => carryOut(order, link),
    onState(state) {
      view.setLink(state);
      if (state === 'connected') localStorage.setItem(TOKEN_KEY, token);
      if (state === 'refused') {
        localStorage.removeItem(TOKEN_KEY);
        view.askToken(WRONG_TOKEN, restart);
      }
    },
  });
  document.addEventListener('visibilitychange', () => {
    attempt?.setVisible(document.visibilityState === 'visible');
  });
  setInterval(() => void link.tell('alive', {}).catch(() => undefined), ALIVE_MS);
  await link.keepOpen();
  attempt?.stop();
}

void main();
