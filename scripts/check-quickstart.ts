/**
 * tsx scripts/check-quickstart.ts SUMMARY.json [--strict]
 *
 * Prints the figures of a quickstart beside those it is meant to reach. With --strict a figure that falls short makes it
 * fail; without, it only tells, as some of them depend on how quiet the machine was.
 */
import { readFileSync } from 'node:fs';
import type { QuickstartSummary } from '../src/pipeline/quickstartSettings.js';

const [path, flag] = process.argv.slice(2);
if (path === undefined) throw new Error('Usage: tsx scripts/check-quickstart.ts SUMMARY.json [--strict]');
const { supernet, accuracyPredictor, latency, models, seconds } = JSON.parse(
  readFileSync(path, 'utf8'),
) as QuickstartSummary;

const overrun = Math.max(...models.map(({ measuredMs, maxLatencyMs }) => measuredMs / maxLatencyMs - 1));
const points = 100 * (supernet.bestTop1 - supernet.smallestTop1);
const checks: readonly (readonly [string, string, string, boolean])[] = [
  ['smallest subnet behind the largest, test', '<= 2.5 points', `${points.toFixed(2)} points`, points <= 2.5],
  [
    'Kendall tau of predicted accuracy',
    '>= 0.6',
    accuracyPredictor.kendallTau.toFixed(3),
    accuracyPredictor.kendallTau >= 0.6,
  ],
  ['subnets it was judged on', '>= 50', `${accuracyPredictor.heldOut}`, accuracyPredictor.heldOut >= 50],
  ['MAPE of predicted latency', '<= 8 %', `${latency.mape.toFixed(2)} %`, latency.mape <= 8],
  ['whole subnets it was judged on', '>= 30', `${latency.heldOut}`, latency.heldOut >= 30],
  ['chosen models over their limit', '<= 5 %', `${(100 * overrun).toFixed(1)} %`, overrun <= 0.05],
  ['whole quickstart', '<= 480 s', `${seconds.toFixed(0)} s`, seconds <= 480],
];
for (const [what, wanted, measured, met] of checks) {
  console.log(`${what.padEnd(42)} ${wanted.padEnd(14)} ${measured.padEnd(12)} ${met ? 'met' : 'NOT MET'}`);
}
const short = checks.filter(([, , , met]) => !met).length;
console.log(
  `${checks.length - short} of ${checks.length} figures met; largest subnet ${(100 * supernet.bestTop1).toFixed(2)} % on test data`,
);
if (flag === '--strict' && short > 0) process.exitCode = 1;
