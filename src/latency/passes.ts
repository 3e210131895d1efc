/** How far one measurement of a network repeats, by a table that has measured each several times, minutes apart. */
import { mean } from 'simple-statistics';
import { kendallTauB } from '../util/statistics.js';
import { repeatedTimesMs } from './fitted.js';
import type { QueriedTable } from './table.js';

export interface PassesAgreement {
  readonly networks: number;
  readonly passes: number;
  /** Standard deviation of one measurement, in percent, beside what a whole pass is slower or faster. */
  readonly deviationPercent: number;
  /** Of the mean of all passes: what "measured" means where predictions are judged. */
  readonly meanDeviationPercent: number;
  /** Kendall's tau of one pass and another, mean of all pairs: a prediction from one pass could hardly have more. */
  readonly kendallTau: number;
}

/** `timesMs`: networks x passes, two of each at least. The deviation is the root mean square residual of a two-way table of logarithms. */
export function agreement(timesMs: readonly (readonly number[])[]): PassesAgreement {
  const logs = timesMs.map((row) => row.map(Math.log));
  const [networks, passes] = [logs.length, logs[0]!.length];
  const pass = (p: number): number[] => logs.map((row) => row[p]!);
  const passMeans = logs[0]!.map((_, p) => mean(pass(p)));
  const squares = logs.flatMap((row) => {
    const centred = row.map((log, p) => log - passMeans[p]!);
    const centre = mean(centred);
    return centred.map((one) => (one - centre) ** 2);
  });
  const freedom = (networks - 1) * (passes - 1);
  const deviationPercent = 100 * Math.sqrt((squares.length * mean(squares)) / freedom);
  const pairs = passMeans.flatMap((_, b) => passMeans.slice(0, b).map((__, a) => [a, b] as const));
  return {
    networks,
    passes,
    deviationPercent,
    meanDeviationPercent: deviationPercent / Math.sqrt(passes),
    kendallTau: mean(pairs.map(([a, b]) => kendallTauB(pass(a), pass(b)))),
  };
}

/** Of as many passes as half of the networks have, in order of measurement; null where that is fewer than two. */
export function agreementOfPasses(table: QueriedTable): PassesAgreement | null {
  const times = [...repeatedTimesMs(table).values()];
  const counts = times.map((list) => list.length).sort((a, b) => a - b);
  const passes = counts[Math.floor(counts.length / 2)] ?? 0;
  const rows = times.filter((list) => list.length >= passes).map((list) => list.slice(0, passes));
  return passes < 2 || rows.length < 2 ? null : agreement(rows);
}
