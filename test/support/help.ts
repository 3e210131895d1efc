/** HELP's measurements: 5000 subnets of ofa-mbv3 on four GPUs at three batch sizes. */
import { readFileSync } from 'node:fs';
import type { Architecture } from '../../src/space/architecture.js';

export interface HelpData {
  /** `titan_rtx_64`: GPU and images a run. */
  readonly settings: readonly string[];
  readonly networks: readonly {
    readonly architecture: Architecture;
    readonly latenciesMs: readonly number[];
  }[];
}

/** Reads `help-ofa-latency.csv`. */
export function readHelp(path: string): HelpData {
  const [header, ...lines] = readFileSync(path, 'utf8').trim().split(/\r?\n/);
  const digits = (text: string): number[] => Array.from(text.replaceAll('-', ''), Number);
  return {
    settings: header!.split(',').slice(5),
    networks: lines.map((line) => {
      const [, r, d, ks, e, ...latencies] = line.split(',');
      return {
        architecture: { imageSize: Number(r), d: digits(d!), ks: digits(ks!), e: digits(e!) },
        latenciesMs: latencies.map(Number),
      };
    }),
  };
}
