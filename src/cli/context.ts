/** What every command gets, and the options that several share. */
import { Option, type Command } from 'commander';
import { ENGINE_NAMES, PROVIDERS } from '../pipeline/engineName.js';
import type { SpaceOverrides } from '../space/space.js';
import { UsageError } from '../util/errors.js';
import { parseDecimal } from '../util/decimal.js';
import type { Logger } from '../util/logger.js';
import { fractionStandardError } from '../util/standardError.js';
import { createLogger, type Console } from './console.js';

export interface CliContext {
  readonly console: Console;
  /** Fires on Ctrl-C. A command that takes it saves its state and stops; one that never does is ended at once. */
  readonly signal: AbortSignal;
  logger(): Promise<Logger>;
  /** Prints the result: with `--json` the document alone, else the text that `text()` makes of it. */
  result(command: Command, document: unknown, text: () => string): void;
}

/** `takeSignal` is called when a command asks for the signal. */
export function createContext(console: Console, takeSignal: () => AbortSignal): CliContext {
  let logger: Promise<Logger> | undefined;
  return {
    console,
    get signal() {
      return takeSignal();
    },
    logger: () => (logger ??= createLogger(console)),
    result: (command, document, text) => {
      const { json } = command.optsWithGlobals<{ json?: boolean }>();
      console.out(json === true ? `${JSON.stringify(document, null, 2)}\n` : text());
    },
  };
}

/** A command is one file that adds itself; heavy modules are loaded in its action. */
export type Register = (program: Command, context: CliContext) => void;

/** Commander's parser of a number within bounds; throws UsageError naming the option. */
export function number(
  name: string,
  bounds: { min?: number; above?: number; integer?: boolean } = {},
): (text: string) => number {
  return (text) => {
    const value = parseDecimal(text) ?? Number.NaN;
    const { min, above, integer } = bounds;
    const wanted = `${integer === true ? 'a whole number' : 'a number'}${min === undefined ? '' : ` of at least ${min}`}${above === undefined ? '' : ` above ${above}`}`;
    const fits = Number.isFinite(value) && !(integer === true && !Number.isInteger(value));
    if (!fits || (min !== undefined && value < min) || (above !== undefined && value <= above)) {
      throw new UsageError(`Cannot use --${name}: ${wanted} is wanted: current value is "${text}"`);
    }
    return value;
  };
}

export const integer = (name: string, min = 0): ((text: string) => number) =>
  number(name, { min, integer: true });

function imageSizes(text: string): number[] {
  return text.split(',').map(integer('image-sizes', 1));
}

export interface SpaceOptions {
  readonly space: string;
  readonly width?: number;
  readonly classes?: number;
  readonly imageSizes?: number[];
}

/** `--space` with `--width`, `--classes` and `--image-sizes`. */
export function addSpaceOptions(command: Command): Command {
  return addSpaceOverrides(
    command.requiredOption('--space <space>', 'search space: a name in supernets/ or a file'),
  );
}

/** `--width`, `--classes` and `--image-sizes`, for a command that is told the space in another way. */
export function addSpaceOverrides(command: Command): Command {
  return command
    .option('--width <factor>', 'width multiplier of the space', number('width', { above: 0 }))
    .option('--classes <n>', 'number of classes of the space', integer('classes', 1))
    .option('--image-sizes <list>', 'image sizes of the space, e.g. 64,96,128', imageSizes);
}

export function spaceOverrides({ width, classes, imageSizes: sizes }: Partial<SpaceOptions>): SpaceOverrides {
  return {
    ...(width === undefined ? {} : { width }),
    ...(classes === undefined ? {} : { classes }),
    ...(sizes === undefined ? {} : { imageSizes: sizes }),
  };
}

/** What `--arch` takes. */
export const ARCHITECTURE_WORDS =
  'an architecture: JSON, a file (also a search result, a front, an exported model), "largest" or "smallest"';

export const engineOption = (): Option =>
  new Option('--engine <engine>', 'what computes').choices(ENGINE_NAMES).default('onnxruntime');

export const providerOption = (): Option =>
  new Option('--provider <provider>', 'what ONNX Runtime computes on').choices(PROVIDERS).default('cpu');

export const seedOption = (): Option =>
  new Option('--seed <n>', 'seed of everything random').default(0).argParser(integer('seed'));

export const threadsOption = (): Option =>
  new Option('--threads <n>', 'threads of an operator (default: all processors)').argParser(
    integer('threads', 1),
  );

export const calibrationImagesOption = (): Option =>
  new Option('--calibration-images <n>', 'training images for batch-norm statistics')
    .default(2000)
    .argParser(integer('calibration-images', 1));

/** `data`: what it divides. */
export const validationShareOption = (data: string): Option =>
  new Option(
    '--validation-share <share>',
    `share of the training images of ${data} for validation: more tell subnets apart better, fewer are left to learn from (default: 0.1; 0.15 of all where there is no test part)`,
  ).argParser(share);

function share(text: string): number {
  const value = number('validation-share', { above: 0 })(text);
  if (value <= 0.8) return value;
  throw new UsageError(
    `Cannot use --validation-share: a number above 0 and at most 0.8 is wanted: current value is "${text}"`,
  );
}

export const onCorruptOption = (standard: string): Option =>
  new Option(
    '--on-corrupt <action>',
    `images that cannot be decoded: skip them, named and counted, or fail (default: ${standard})`,
  ).choices(['skip', 'fail']);

/** A line for images that were left out; '' where there were none. */
export const skippedLine = ({ length }: readonly string[]): string =>
  length === 0 ? '' : `Skipped ${length} image${length === 1 ? '' : 's'} that cannot be decoded\n`;

/** A fraction of `count` images with its standard error: `97.34 % ± 0.51`. */
export const measuredPercent = (fraction: number, count: number): string =>
  withError(fraction, fractionStandardError(fraction, count));

/** `97.34 % ± 0.51`; without the error where it is not known. */
export const withError = (fraction: number, standardError: number | undefined): string =>
  standardError === undefined
    ? percent(fraction)
    : `${percent(fraction)} ± ${(100 * standardError).toFixed(2)}`;

/** 0.9734 -> "97.34 %". */
export const percent = (fraction: number, digits = 2): string => `${(100 * fraction).toFixed(digits)} %`;
