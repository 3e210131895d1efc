/** What a command prints: results on stdout, everything else on stderr. */
import type * as cliProgress from 'cli-progress';
import type { Logger, Progress } from '../util/logger.js';
import { printable, printableLine } from './printable.js';
import { ProgressState, type Shown } from './progress.js';

/** Where a command writes; tests pass their own. */
export interface Console {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether stderr is a terminal that can redraw a line. */
  readonly interactive: boolean;
  /** Resolves when all output has been handed to the system, to what kept the result from getting there. */
  finish?(): Promise<Error | undefined>;
}

/** The console of this process. A reader that goes away (`ofa space list | head -1`) has had enough: that is no failure. */
export function createProcessConsole(): Console {
  let failure: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    failure ??= error;
  });
  // Where messages cannot be shown, nobody can be told.
  process.stderr.on('error', () => undefined);
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY ?? false,
    finish: async () => {
      await new Promise((resolve) => process.stdout.write('', resolve));
      return failure?.code === 'EPIPE' ? undefined : failure;
    },
  };
}

/**
 * For scripts that use the library: tells on stderr what commands tell there. Bars with an ETA on a terminal, plain lines
 * elsewhere.
 */
export function createConsoleLogger(): Promise<Logger> {
  return createLogger({
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY ?? false,
  });
}

/** Whatever is written arrives as `printable` text. */
export const printableConsole = (console: Console): Console => ({
  ...console,
  out: (text) => console.out(printable(text)),
  err: (text) => console.err(printable(text)),
});

/** Seconds between two lines of progress where there is no terminal. */
const PLAIN_SECONDS = 10;

/** Progress bars with an ETA on a terminal, plain lines elsewhere; all on stderr. */
export async function createLogger(console: Console): Promise<Logger> {
  const bar = console.interactive ? await loadBars() : undefined;
  let active: { stop: () => void } | undefined;
  const line = (text: string): void => console.err(`${active === undefined ? '' : '\n'}${text}\n`);
  return {
    info: line,
    warn: (message) => line(`Warning: ${printableLine(message)}`),
    progress(name, total): Progress {
      // Bars write to the terminal themselves.
      const label = printableLine(name);
      if (bar === undefined) return plainProgress(console, label, total);
      const single = new bar.SingleBar(
        {
          format: `${label} {bar} {shown}{after}`,
          hideCursor: true,
          clearOnComplete: true,
          stopOnComplete: false,
        },
        bar.Presets.shades_classic,
      );
      // Own words for shares and times: the bar's are NaN, NULL or INF where there is nothing to divide by.
      const state = new ProgressState(total);
      const words = ({ percent, counted, left }: Shown): string =>
        [percent, counted, left].filter((word) => word !== '').join(' · ');
      single.start(1, 0, { shown: '', after: '' });
      active = single;
      return {
        update: (done, note) => {
          const shown = state.at(done, performance.now());
          single.update(shown.share, {
            shown: words(shown),
            after: note === undefined ? '' : ` · ${printableLine(note)}`,
          });
        },
        stop: () => {
          single.stop();
          active = undefined;
        },
      };
    },
  };
}

function plainProgress(console: Console, label: string, total: number): Progress {
  const state = new ProgressState(total);
  let told = performance.now();
  return {
    update: (done, note) => {
      const now = performance.now();
      const { counted, left, leftSeconds } = state.at(done, now);
      if (now - told < 1000 * PLAIN_SECONDS || done === 0) return;
      told = now;
      const time = leftSeconds === undefined ? left : `about ${left}`;
      console.err(
        `${label}: ${counted.replace('/', ' of ')}, ${time}${note === undefined ? '' : `, ${note}`}\n`,
      );
    },
    stop: () => undefined,
  };
}

/** Columns padded to their widest cell; numbers are right-aligned. */
export function formatRows(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const cells = [header, ...rows].map((row) => row.map((cell) => printableLine(String(cell))));
  const widths = header.map((_, i) => Math.max(...cells.map((row) => (row[i] ?? '').length)));
  const numeric = header.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  return cells
    .map((row) =>
      row
        .map((cell, i) => (numeric[i]! ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
    .concat('\n');
}

async function loadBars(): Promise<typeof cliProgress> {
  // CommonJS: all its exports are on the default one.
  const module = (await import('cli-progress')) as unknown as { default: typeof cliProgress };
  return module.default;
}
