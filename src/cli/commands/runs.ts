import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { RunSummary } from '../../pipeline/runSummary.js';
import { UsageError } from '../../util/errors.js';
import { formatBytes } from '../../util/memory.js';
import { formatRows } from '../console.js';
import { percent, type Register } from '../context.js';

export const runs: Register = (program, context) => {
  const group = program.command('runs').description('list, compare and remove runs');

  group
    .command('list')
    .argument('[dirs...]', 'folders to look in, and four levels below them (default: the current folder)')
    .description('which runs there are, how far they are, what they reached, and who writes there')
    .addHelpText('after', '\nExample: ofa runs list runs')
    .action(async (dirs: string[], _options: unknown, self: Command) => {
      const { listRuns } = await import('../../pipeline/runs.js');
      const list = await listRuns(dirs.length === 0 ? ['.'] : dirs);
      context.result(self, list, () => (list.length === 0 ? 'There are no runs\n' : listText(list)));
    });

  group
    .command('compare')
    .argument('<a>', 'folder of a run')
    .argument('<b>', 'folder of another')
    .description('what two runs differ in')
    .addHelpText('after', '\nExample: ofa runs compare runs/a runs/b')
    .action(async (a: string, b: string, _options: unknown, self: Command) => {
      const { compareRuns } = await import('../../pipeline/runs.js');
      const comparison = await compareRuns(a, b);
      const rows = comparison.differences.map(({ key, a: of, b: other }) => [
        key,
        cell(key, of),
        cell(key, other),
      ]);
      context.result(self, comparison, () =>
        rows.length === 0 ? 'They do not differ\n' : formatRows(['', a, b], rows),
      );
    });

  group
    .command('remove')
    .argument('<run>', 'folder of a run')
    .option('--yes', 'do not ask')
    .description('remove what ofakit wrote into a run, and the folder where nothing else is in it')
    .addHelpText('after', '\nExample: ofa runs remove runs/old --yes')
    .action(async (run: string, options: { yes?: true }, self: Command) => {
      const [{ removeRun }, { describeRun, requireRun }] = await Promise.all([
        import('../../pipeline/runs.js'),
        import('../../pipeline/runSummary.js'),
      ]);
      requireRun(run, 'remove');
      const { sizeBytes } = await describeRun(run);
      if (options.yes !== true && !(await confirmed(`Remove the run ${run}, ${formatBytes(sizeBytes)}?`)))
        throw new UsageError(`Cannot remove ${run}: that must be confirmed: it was not; give --yes`);
      const removed = await removeRun(run);
      const { freedBytes, kept } = removed;
      context.result(
        self,
        removed,
        () =>
          `Removed ${run}, ${formatBytes(freedBytes)}\n` +
          (kept.length === 0 ? '' : `Not of the run, and still there: ${kept.join(', ')}\n`),
      );
    });
};

/** Asks on the terminal; where there is none the answer is no. */
async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
  } finally {
    lines.close();
  }
}

function listText(list: readonly RunSummary[]): string {
  const top1 = (value: number | null): string => (value === null ? '-' : percent(value, 1));
  const table = formatRows(
    ['run', 'space', 'data', 'state', 'steps', 'largest', 'smallest', 'samples', 'size', 'written (UTC)'],
    list.map((run) => [
      run.run,
      run.space ?? '-',
      run.data?.split(':')[0] ?? '-',
      run.state,
      run.step === null ? '-' : `${run.step}/${run.totalSteps!}`,
      top1(run.largestTop1),
      top1(run.smallestTop1),
      run.samples,
      formatBytes(run.sizeBytes),
      run.modified.slice(0, 16).replace('T', ' '),
    ]),
  );
  const notes = list.flatMap(({ run, problem, inUseBy }) => [
    ...(problem === undefined ? [] : [`${run}: ${problem}\n`]),
    ...(inUseBy === null ? [] : [`In use: ${run}: ${inUseBy}\n`]),
  ]);
  return table + notes.join('');
}

function cell(key: string, value: unknown): string {
  if (value === null) return '-';
  if (typeof value === 'number' && key.endsWith('Top1')) return percent(value);
  if (typeof value === 'string') return key.endsWith('Sha256') ? value.slice(0, 12) : value;
  return JSON.stringify(value);
}
