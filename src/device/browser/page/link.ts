/** The page's line to the agent: a stream of orders that is opened again whenever it breaks. */
import { PING_MS, orderSchema, type Hello, type Order } from '../messages.js';

export class TokenError extends Error {}

export interface Link {
  /** Throws TokenError for a wrong token, TypeError without a network. */
  get(path: string): Promise<Response>;
  /** Tells the agent about this page. Throws as `get`. */
  tell(what: 'events' | 'alive', body: unknown): Promise<Response>;
  /** Opens the stream, and again until the token is refused. Never rejects. */
  keepOpen(): Promise<void>;
}

export interface LinkEvents {
  /** What to say when the stream is opened. */
  hello(): Hello;
  onOrder(order: Order): void;
  onState(state: 'connecting' | 'connected' | 'refused'): void;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Lines of a stream; throws where nothing comes for `silenceMs`. */
async function* lines(response: Response, silenceMs: number, abort: AbortController): AsyncGenerator<string> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const timer = setTimeout(() => abort.abort(), silenceMs);
    const { done, value } = await reader.read().finally(() => clearTimeout(timer));
    if (done) return;
    text += value;
    const parts = text.split('\n');
    text = parts.pop() ?? '';
    yield* parts;
  }
}

export function openLink(tabId: string, token: string, events: LinkEvents): Link {
  const own = `/browser/tabs/${tabId}`;
  const request = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(path, { ...init, headers: { authorization: `Bearer ${token}` } });
    if (response.status === 401) throw new TokenError();
    return response;
  };
  const post = (path: string, body: unknown, init: RequestInit = {}): Promise<Response> =>
    request(path, { ...init, method: 'POST', body: JSON.stringify(body) });

  const listen = async (): Promise<void> => {
    const abort = new AbortController();
    const response = await post(own, events.hello(), { signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`the agent answers ${response.status}`);
    events.onState('connected');
    for await (const line of lines(response, 3 * PING_MS, abort)) {
      if (line !== '') events.onOrder(orderSchema.parse(JSON.parse(line)));
    }
  };

  return {
    get: (path) => request(path),
    tell: (what, body) => post(`${own}/${what}`, body),
    async keepOpen() {
      for (let failures = 0; ; failures++) {
        events.onState('connecting');
        const start = performance.now();
        try {
          await listen();
        } catch (error) {
          if (error instanceof TokenError) {
            events.onState('refused');
            return;
          }
        }
        if (performance.now() - start > 10_000) failures = 0;
        await pause(Math.min(5000, 500 * 2 ** failures));
      }
    },
  };
}
