/** The command line: parses, calls the library, prints. A contract: see docs/cli.md. */
import { Command, CommanderError } from 'commander';
import { InterruptedError, UsageError, UserError } from '../util/errors.js';
import { packageVersion } from '../util/scripts.js';
import { commands } from './commands/index.js';
import { processConsole, type Console } from './console.js';
import { createContext } from './context.js';

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Runs one command and returns its exit code. */
export async function main(argv: readonly string[], console: Console = processConsole): Promise<number> {
  const abort = new AbortController();
  let interrupts = 0;
  const onSignal = (): void => {
    interrupts++;
    if (interrupts > 1) process.exit(EXIT.interrupted);
    console.err('\nStopping after saving; press Ctrl-C again to stop at once\n');
    abort.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  try {
    const program = new Command('ofa')
      .description('Train one supernet, specialise it for every device, export ONNX, query latency tables')
      .version(packageVersion())
      .option('--json', 'print one JSON document on stdout and nothing else there')
      .exitOverride()
      .configureOutput({ writeOut: console.out, writeErr: console.err });
    const context = createContext(console, abort.signal);
    for (const register of commands) register(program, context);
    inheritSettings(program);
    await program.parseAsync(argv, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    return report(error, console);
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  }
}

/** Every command throws instead of exiting, writes where the program does, and takes --json also after its name. */
function inheritSettings(command: Command): void {
  for (const child of command.commands) {
    child.copyInheritedSettings(command);
    if (!child.options.some(({ long }) => long === '--json')) {
      child.option('--json', 'print one JSON document on stdout and nothing else there');
    }
    inheritSettings(child);
  }
}

function report(error: unknown, console: Console): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof InterruptedError) {
    console.err(`${error.message}\n`);
    return EXIT.interrupted;
  }
  if (error instanceof UsageError) {
    console.err(`${error.message}; see --help\n`);
    return EXIT.usage;
  }
  if (
    error instanceof UserError ||
    error instanceof RangeError ||
    error instanceof TypeError ||
    error instanceof SyntaxError
  ) {
    console.err(`${error.message}\n`);
    if (process.env['OFAKIT_DEBUG'] !== undefined) console.err(`${error.stack ?? ''}\n`);
    return EXIT.failed;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.err(`This is a defect of ofakit, please report it: ${text}\n`);
  return EXIT.failed;
}
