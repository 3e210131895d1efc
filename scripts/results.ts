/**
 * npm run results -- [--cifar FOLDER] [--quickstart FOLDER] [--python /usr/bin/python3] > docs/results.md
 *
 * Measures what docs/results.md publishes and prints it: the quickstart (or one that is there already), search beside
 * random search on its predictors, training on CIFAR-10 given as class folders, one step of the paper's space, and the
 * training step beside PyTorch's. Takes about a quarter of an hour on two quiet cores.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { QuickstartSummary } from '../src/pipeline/quickstartSettings.js';
import { readMetrics } from '../src/training/metrics.js';
import { describeMachine } from './bench/support/machine.js';

const { values } = parseArgs({
  options: {
    cifar: { type: 'string' },
    quickstart: { type: 'string' },
    python: { type: 'string', default: '/usr/bin/python3' },
  },
});
const root = fileURLToPath(new URL('..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'ofakit-results-'));

/** Output of a command of this repository; its progress goes to stderr. */
function run(script: string, args: readonly string[]): string {
  const command = script.endsWith('.ts') ? ['--import', 'tsx', script] : [script];
  return execFileSync(process.execPath, [...command, ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });
}
const code = (text: string): string => `\`\`\`\n${text.trimEnd()}\n\`\`\`\n`;
const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;
const say = (text: string): void => console.log(text);

const machine = describeMachine();
say(`# Results

Printed by \`npm run results\`. Every figure was measured in that run; commands and seeds are beside them.

Machine: ${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}, ofakit ${machine.ofakit}, ${machine.date}; load average at the start ${machine.load}.
`);

const quickstart = values.quickstart ?? join(work, 'quickstart');
if (values.quickstart === undefined) run('bin/ofa.js', ['quickstart', '--out', quickstart, '--json']);
const summary = JSON.parse(readFileSync(join(quickstart, 'summary.json'), 'utf8')) as QuickstartSummary;
say(
  '## Quickstart\n\n`npx ofa quickstart`, seed 0. Accuracies of models and of the supernet are on test images, which nothing else has seen.\n',
);
say(code(run('scripts/check-quickstart.ts', [join(quickstart, 'summary.json')])));
say(
  '| limit ms | predicted ms | measured ms | predicted top-1 | measured top-1 | million MACs | largest difference to the supernet |',
);
say('| --- | --- | --- | --- | --- | --- | --- |');
for (const m of summary.models) {
  say(
    `| ${m.maxLatencyMs} | ${m.predictedMs.toFixed(3)} | ${m.measuredMs.toFixed(3)} | ${percent(m.predictedTop1)} | ${percent(m.measuredTop1)} | ` +
      `${(m.macs / 1e6).toFixed(2)} | ${m.maxAbsDifference.toExponential(1)} |`,
  );
}
say(
  '\nPredicted top-1 is of validation images, measured top-1 of test images: other images, and 1,501 of them give a standard error of about 0.4 points.\n',
);

say(
  '## Search\n\nEvolution beside random search with as many accuracy predictions, on the predictors of that run: `npm run bench:search-baseline`.\n',
);
say(
  code(
    run('scripts/bench/search-baseline.ts', [
      join(quickstart, 'supernet'),
      join(quickstart, 'latency-table.json'),
    ]),
  ),
);

if (values.cifar !== undefined) {
  const out = join(work, 'cifar');
  const args = [
    '--space',
    'mbv3-cifar',
    '--data',
    `imagefolder:${values.cifar}`,
    '--schedule',
    'random',
    '--epochs-scale',
    '0.0025',
    '--validate-every',
    '1000',
  ];
  run('bin/ofa.js', ['train', ...args, '--out', out, '--seed', '0', '--json']);
  const steps = (await readMetrics(join(out, 'metrics.jsonl'))).filter((m) => m.kind === 'step');
  say('## Training on CIFAR-10\n\nJPEG files of CIFAR-10, one random subnet a step, batch 64, seed 0:\n');
  say(code(`ofa train ${args.join(' ').replace(values.cifar, 'CIFAR10')} --out RUN --seed 0`));
  say('| step | mean loss since the line before | images/s |\n| --- | --- | --- |');
  for (const { step, loss, imagesPerSecond } of steps.filter((_, i) => i % 3 === 2 || i === 0)) {
    say(`| ${step} | ${loss.toFixed(3)} | ${imagesPerSecond.toFixed(0)} |`);
  }
  say('');
}

say(
  '## One step of the space of the paper\n\n`ofa-mbv3`, width 1.0, 128x128, batch 16, largest subnet: `npm run bench:train-step -- --size 128 --batch 16 --classes 1000 --only largest`.\n',
);
say(
  code(
    run('scripts/bench/train-step.ts', [
      '--size',
      '128',
      '--batch',
      '16',
      '--classes',
      '1000',
      '--only',
      'largest',
      '--python',
      values.python,
    ]),
  ),
);

say(
  '## Training step beside PyTorch\n\n`npm run bench:train-step`: ten subnets of `ofa-mbv3` width 1.0, 64x64, batch 32, taking turns with PyTorch in one run; medians of 7.\n',
);
say(code(run('scripts/bench/train-step.ts', ['--repeat', '7', '--python', values.python])));
rmSync(work, { recursive: true, force: true });
