/** Commands that ask one latency table: a file, or the table of a device for a space. */
import type { Command } from 'commander';
import { UsageError } from '../util/errors.js';
import { addSpaceChoice, chosenSpace, type SpaceChoice } from './spaceChoice.js';

export interface TableChoice extends SpaceChoice {
  readonly table?: string;
  readonly device?: string;
}

/** Adds `--table`, and in its place `--device` with `--space` or `--supernet`. */
export function addTableChoice(command: Command): Command {
  return addSpaceChoice(
    command
      .option('--table <file>', 'a latency table')
      .option('--device <name>', 'instead of --table: the table of this device for --space or --supernet'),
  );
}

/** The file. Throws UsageError unless there is one choice, UserError where the device has no table for the space. */
export async function chosenTable(options: TableChoice): Promise<string> {
  const { table, device } = options;
  if ((table === undefined) === (device === undefined)) {
    throw new UsageError(
      `Cannot choose the latency table: either --table or --device is wanted: there ${table === undefined ? 'is neither' : 'are both'}`,
    );
  }
  if (table !== undefined) return table;
  const { findTable } = await import('../pipeline/tables.js');
  return findTable(device!, await chosenSpace(options));
}
