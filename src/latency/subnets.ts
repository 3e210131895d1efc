/** Which whole subnets are measured beside the blocks: some to correct predictions, others to check them. */
import type { Architecture } from '../space/architecture.js';
import { architectureKey, canonical } from '../space/canonical.js';
import type { Gene } from '../space/gene.js';
import { sampleArchitecture } from '../space/sampling.js';
import { architectureOf } from '../space/space.js';
import { createRandom, type Random } from '../util/random.js';
import type { PredictorContext } from './context.js';
import { chooseInformative } from './transfer.js';
import { transferRows } from './transferPredictor.js';

export type SubnetRole = 'fit' | 'check';

export interface WholeSubnet {
  readonly architecture: Architecture;
  readonly role: SubnetRole;
}

/** Draws large values for `tilt` near 1, small ones near 0; image sizes evenly. */
function tilted(genes: readonly Gene[], tilt: number, random: Random): Architecture {
  const exponent = 2 ** (1.5 * (1 - 2 * tilt));
  return architectureOf(genes, ({ choices, list }) => {
    const position = random.float() ** (list === 'imageSize' ? 1 : exponent);
    return choices[Math.min(choices.length - 1, Math.floor(position * choices.length))]!;
  });
}

/**
 * Distinct subnets: `fit` of them spread from the smallest to the largest (a correction must not extrapolate), `check`
 * of them uniform, as a user meets them. A larger count keeps those of a smaller one. Fewer where the space has no more.
 */
export function chooseSubnets(
  genes: readonly Gene[],
  counts: Readonly<Record<SubnetRole, number>>,
  seed: number,
): WholeSubnet[] {
  const taken = new Set<string>();
  const list: WholeSubnet[] = [];
  const choose = (role: SubnetRole, draw: (i: number, random: Random) => Architecture): void => {
    for (let i = 0; i < counts[role]; i++) {
      for (let attempt = 0; attempt < 50; attempt++) {
        const arch = draw(i, createRandom(seed, 'whole subnet', role, i, attempt));
        const key = architectureKey(genes, arch);
        if (taken.has(key)) continue;
        taken.add(key);
        list.push({ architecture: canonical(genes, arch), role });
        break;
      }
    }
  };
  // First those that check: how many fit must not change what is checked.
  choose('check', (_, random) => sampleArchitecture(genes, random));
  // The golden ratio's multiples spread evenly for any count.
  choose('fit', (i, random) => tilted(genes, (i * 0.6180339887498949) % 1, random));
  return list;
}

const CANDIDATES = 400;

/**
 * Distinct subnets of `genes` whose latencies say most about all others, by what the context knows of other devices (see
 * `chooseInformative`); a larger count keeps those of a smaller one. `taken`: keys of subnets to leave out. Throws
 * UserError where nothing is known of other devices.
 */
export function chooseInformativeSubnets(
  genes: readonly Gene[],
  context: PredictorContext,
  count: number,
  seed: number,
  taken: ReadonlySet<string> = new Set(),
): Architecture[] {
  const random = createRandom(seed, 'candidates to measure');
  const candidates = new Map<string, Architecture>();
  for (let i = 0; i < CANDIDATES; i++) {
    const arch = canonical(genes, sampleArchitecture(genes, random));
    const key = architectureKey(genes, arch);
    if (!taken.has(key)) candidates.set(key, arch);
  }
  const list = [...candidates.values()];
  return chooseInformative(list.map(transferRows(context)), count).map((i) => list[i]!);
}
