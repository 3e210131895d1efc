/** Questions to a latency table. Loads no runtime: only the table and the space that it carries. */
import type { Architecture } from '../space/architecture.js';
import type { Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { fitPredictor } from './crossValidation.js';
import { lookUpBlocks } from './context.js';
import { blockLookup, predictorOf, tableContext, tableExamples } from './fitted.js';
import type { LatencyPredictor } from './predictor.js';
import { applicablePredictors, latencyPredictorByName } from './predictors.js';
import type { ImportedTable } from './imported.js';
import { readTableForQueries, sameBlocks, tableEntry, tableSpace, type QueriedTable } from './table.js';

export { tableContext, tableExamples } from './fitted.js';

const WORDS_FOR_NEEDS = {
  table: ' and a table of blocks',
  sources: ' and tables of other devices ("ofa measure --few-shot")',
  nothing: '',
} as const;

export interface LatencyAnswer {
  readonly latencyMs: number;
  /** Covers 90 % of networks; null where no whole subnet was measured. */
  readonly intervalMs: readonly [number, number] | null;
  /** Name of the predictor. */
  readonly method: string;
  readonly device: string;
}

/** Answers from one table; the predictor is the table's, or fitted on its `fit` subnets once. */
export class LatencyQuery<Table extends QueriedTable | ImportedTable = QueriedTable | ImportedTable> {
  readonly space: SearchSpace;
  readonly predictor: LatencyPredictor;

  /** `method`: name of a predictor; default the best by cross-validation. Throws UserError where it cannot be fitted. */
  constructor(
    readonly table: Table,
    method?: string,
  ) {
    this.space = tableSpace(table);
    const context = tableContext(table, this.space);
    if (method === undefined) {
      this.predictor = predictorOf(table, context);
      return;
    }
    const examples = tableExamples(table, 'fit');
    const definition = latencyPredictorByName(method);
    if (!applicablePredictors(examples, context).includes(definition)) {
      throw new UserError(
        `Cannot predict latency by "${method}": it needs ${definition.minExamples} measured subnets${WORDS_FOR_NEEDS[definition.needs[0] ?? 'nothing']}: ` +
          `the table has ${examples.length} subnets and ${Object.keys(table.entries).length} blocks`,
      );
    }
    this.predictor = fitPredictor(definition, examples, context);
  }

  /** Throws UserError where the table lacks a block, RangeError for an architecture outside its space. */
  architecture(arch: Architecture): LatencyAnswer {
    const { latencyMs, intervalMs } = this.predictor.predict(arch);
    return { latencyMs, intervalMs, method: this.predictor.name, device: this.table.device.name };
  }

  /**
   * The table's sum over a network that need not be in its space, e.g. one that somebody else specialised. Throws
   * UserError where the table lacks a block or the image size.
   */
  network(network: Network): LatencyAnswer {
    const blocksMs = lookUpBlocks(network, blockLookup(this.table));
    const latencyMs = blocksMs.reduce((sum, ms) => sum + ms, 0);
    return { latencyMs, intervalMs: null, method: 'table', device: this.table.device.name };
  }

  /** A block's latency by key, as it was measured; see `tableEntry`, which gives all that a table has of it. */
  block(key: string, imageSize?: number): { readonly latencyMs: number } {
    return tableEntry(this.table, key, imageSize);
  }

  /**
   * Throws UserError where networks of `space` are not those that the table is for (another width, other classes or
   * layers): its answers would be about other networks.
   */
  checkSpace(space: SearchSpace): void {
    const own = this.table.space;
    if (sameBlocks(own, space.file)) return;
    const words = ({ name, width, classes }: typeof own): string =>
      `"${name}" of width ${width} with ${classes} classes`;
    throw new UserError(
      `Cannot use the latency table of device "${this.table.device.name}": it must be for space ${words(space.file)}: it is for ${words(own)}`,
    );
  }
}

/** For a search: latencies in ms, in order. Throws as `LatencyQuery.architecture`. */
export function latencyFunction(query: LatencyQuery): (archs: readonly Architecture[]) => number[] {
  return (archs) => archs.map((arch) => query.architecture(arch).latencyMs);
}

/** Throws UserError for a missing or damaged table. */
export async function openLatencyTable(path: string, method?: string): Promise<LatencyQuery> {
  return new LatencyQuery(await readTableForQueries(path), method);
}
