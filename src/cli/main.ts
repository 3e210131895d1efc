/** The command line: parses, calls the library, prints. A contract: see docs/cli.md. */
import { Command, CommanderError, type Option } from 'commander';
import { InterruptedError, UsageError, UserError } from '../util/errors.js';
import { fileProblem } from '../util/files.js';
import { packageVersion } from '../util/scripts.js';
import { commands } from './commands/index.js';
import { createProcessConsole, printableConsole, type Console } from './console.js';
import { createContext } from './context.js';

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Runs one command and returns its exit code. */
export async function main(
  argv: readonly string[],
  terminal: Console = createProcessConsole(),
): Promise<number> {
  const console = printableConsole(terminal);
  const showCursor = (): void => terminal.err(terminal.interactive ? '\u001B[?25h' : '');
  const code = await run(argv, console, showCursor);
  const problem = await console.finish?.();
  if (problem === undefined) return code;
  console.err(`${fileProblem('write', 'the result', problem).message}\n`);
  return code === EXIT.done ? EXIT.failed : code;
}

async function run(argv: readonly string[], console: Console, showCursor: () => void): Promise<number> {
  const abort = new AbortController();
  let saves = false;
  const onSignal = (): void => {
    if (!saves || abort.signal.aborted) {
      // A progress bar may have hidden the cursor.
      showCursor();
      console.err('\nInterrupted\n');
      process.exit(EXIT.interrupted);
    }
    console.err('\nStopping after saving; press Ctrl-C again to stop at once\n');
    abort.abort(new InterruptedError('Interrupted; run the same command again'));
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
    const context = createContext(console, () => {
      saves = true;
      return abort.signal;
    });
    for (const register of commands) register(program, context);
    inheritSettings(program);
    askForOptionsLast(program);
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

/**
 * Missing options are told after unknown ones: what is unknown may be the missing one, misspelt. Commander asks the other way
 * round.
 */
function askForOptionsLast(program: Command): void {
  const wanted = new Map<Command, Option[]>();
  const note = (command: Command): void => {
    const required = command.options.filter(({ mandatory }) => mandatory);
    for (const option of required) option.makeOptionMandatory(false);
    wanted.set(command, required);
    command.commands.forEach(note);
  };
  note(program);
  program.hook('preAction', (_program, command) => {
    const missing = wanted.get(command)?.find((o) => command.getOptionValue(o.attributeName()) === undefined);
    if (missing === undefined) return;
    command.error(`error: required option '${missing.flags}' not specified`, {
      code: 'commander.missingMandatoryOptionValue',
    });
  });
}

function report(error: unknown, console: Console): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof InterruptedError) {
    console.err(`${oneLine(error)}\n`);
    return EXIT.interrupted;
  }
  if (error instanceof UsageError) {
    console.err(`${oneLine(error)}; see --help\n`);
    return EXIT.usage;
  }
  if (
    error instanceof UserError ||
    error instanceof RangeError ||
    error instanceof TypeError ||
    error instanceof SyntaxError ||
    // What the system refused, and nobody put into better words.
    (error instanceof Error && 'syscall' in error)
  ) {
    console.err(`${oneLine(error)}\n`);
    if (process.env['OFAKIT_DEBUG'] !== undefined) console.err(`${error.stack ?? ''}\n`);
    return EXIT.failed;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.err(`This is a defect of ofakit, please report it: ${text}\n`);
  return EXIT.failed;
}

/** Reasons shown of an error that lists many: one tensor that does not fit tells as much as two hundred. */
const REASONS = 3;

/** The message in one line; of a list below it the first entries. */
function oneLine({ message }: Error): string {
  const [first, ...list] = message.split('\n').map((line) => line.trim());
  if (list.length === 0) return first!;
  const more = list.length - REASONS;
  return `${first!} ${list.slice(0, REASONS).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
