/** Amounts of memory as people write them. */
import { UsageError } from '../util/errors.js';

const UNITS = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Commander's parser of `12GB`, `800 MiB` or plain bytes; throws UsageError naming the option. */
export const memorySize =
  (option: string) =>
  (text: string): number => {
    const [, digits, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
    const factor = Object.entries(UNITS).find(
      ([name]) => name.toLowerCase() === (unit === '' ? 'b' : unit.toLowerCase()),
    )?.[1];
    const bytes = digits === undefined || factor === undefined ? 0 : Math.floor(Number(digits) * factor);
    if (bytes > 0) return bytes;
    throw new UsageError(
      `Cannot use --${option}: an amount such as 12GB or 800MiB is wanted: current value is "${text}"`,
    );
  };
