/** How far one measurement of a network repeats, by a table that has measured each several times, minutes apart. */
import { mean } from 'simple-statistics';
import { usualSpeedOf } from '../../../src/latency/fitted.js';
import { steadyMs } from '../../../src/latency/steady.js';
import type { MeasuredTable } from '../../../src/latency/table.js';
import { kendallTauB } from '../../../src/util/statistics.js';

export interface PassesAgree {
  readonly networks: number;
  readonly passes: number;
  /** Standard deviation of one measurement, in percent, beside what a whole pass is slower or faster. */
  readonly deviationPercent: number;
  /** Of the mean of all passes: what "measured" means where predictions are judged. */
  readonly meanDeviationPercent: number;
  /** Kendall's tau of one pass and the next, mean of all pairs: a prediction from one pass could hardly have more. */
  readonly kendallTau: number;
}

/** Of as many passes as half of the networks have, in the order of the table; null where that is fewer than two. */
export function passesAgree(table: MeasuredTable): PassesAgree | null {
  const usual = usualSpeedOf(table);
  const times = new Map<string, number[]>();
  for (const subnet of table.wholeSubnets) {
    const key = JSON.stringify(subnet.architecture);
    times.set(key, [...(times.get(key) ?? []), steadyMs(subnet, usual)]);
  }
  const counts = [...times.values()].map((list) => list.length).sort((a, b) => a - b);
  const passes = counts[Math.floor(counts.length / 2)] ?? 0;
  const networks = [...times.values()]
    .filter((list) => list.length >= passes)
    .map((list) => list.slice(0, passes));
  if (passes < 2 || networks.length < 2) return null;

  const logs = networks.map((list) => list.map(Math.log));
  const passMeans = Array.from({ length: passes }, (_, p) => mean(logs.map((row) => row[p]!)));
  const squares = logs.flatMap((row) => {
    const centred = row.map((log, p) => log - passMeans[p]!);
    const centre = mean(centred);
    return centred.map((one) => (one - centre) ** 2);
  });
  const freedom = (networks.length - 1) * (passes - 1);
  const deviationPercent = 100 * Math.sqrt(squares.reduce((a, b) => a + b, 0) / freedom);

  const taus: number[] = [];
  for (let a = 0; a < passes; a++) {
    for (let b = a + 1; b < passes; b++)
      taus.push(
        kendallTauB(
          logs.map((row) => row[a]!),
          logs.map((row) => row[b]!),
        ),
      );
  }
  return {
    networks: networks.length,
    passes,
    deviationPercent,
    meanDeviationPercent: deviationPercent / Math.sqrt(passes),
    kendallTau: mean(taus),
  };
}
