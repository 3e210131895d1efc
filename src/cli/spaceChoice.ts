/** Commands that work on a search space, whether it is named or is that of a run. */
import type { Command } from 'commander';
import type { SearchSpace } from '../space/space.js';
import { UsageError } from '../util/errors.js';
import { addSpaceOverrides, spaceOverrides, type SpaceOptions } from './context.js';

export interface SpaceChoice extends Partial<SpaceOptions> {
  readonly supernet?: string;
}

/** Adds `--space` with its overrides, and `--supernet` in its place. */
export function addSpaceChoice(command: Command): Command {
  return addSpaceOverrides(
    command
      .option('--space <space>', 'search space: a name in supernets/ or a file')
      .option('--supernet <run>', 'instead of --space: a run, whose space it is'),
  );
}

/** Throws UsageError unless there is one choice, and for overrides of a run's space. */
export function checkSpaceChoice(options: SpaceChoice): void {
  const { space, supernet } = options;
  if ((space === undefined) === (supernet === undefined)) {
    throw new UsageError(
      `Cannot choose the search space: either --space or --supernet is wanted: there ${space === undefined ? 'is neither' : 'are both'}`,
    );
  }
  const [override] = Object.keys(spaceOverrides(options));
  if (supernet === undefined || override === undefined) return;
  const name = override.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(
    `Cannot change the search space of a run: --${name} goes with --space, not with --supernet`,
  );
}

/** The space that was chosen. Throws as `checkSpaceChoice`, and UserError for a space or run that cannot be read. */
export async function chosenSpace(options: SpaceChoice): Promise<SearchSpace> {
  checkSpaceChoice(options);
  if (options.supernet !== undefined) {
    const { readRunSpace } = await import('../pipeline/runSpace.js');
    return readRunSpace(options.supernet);
  }
  const { loadSpace } = await import('../space/presets.js');
  return loadSpace(options.space!, spaceOverrides(options));
}
