/** Questions to a latency table. Loads no runtime: only the table and the space that it carries. */
import { fromFile, type Architecture } from '../space/architecture.js';
import type { Network } from '../space/network.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import { evaluateLatency, type LatencyErrors } from './evaluate.js';
import { tableSum, type LatencyExample, type LatencyPredictor, type PredictorContext } from './predictor.js';
import { applicablePredictors, chooseLatencyPredictor, latencyPredictorByName } from './predictors.js';
import type { SubnetRole } from './subnets.js';
import { readTable, sameBlocks, tableEntry, tableSpace, type LatencyTable } from './table.js';

export interface LatencyAnswer {
  readonly latencyMs: number;
  /** Covers 90 % of networks; null where no whole subnet was measured. */
  readonly intervalMs: readonly [number, number] | null;
  /** Name of the predictor. */
  readonly method: string;
  readonly device: string;
}

/** Measured subnets of one role. */
export function tableExamples(table: LatencyTable, role: SubnetRole): LatencyExample[] {
  if (table.format === 'ofakit.imported-latency-table/1') return [];
  return table.wholeSubnets
    .filter((subnet) => subnet.role === role)
    .map(({ architecture, latencyMs }) => ({ architecture: fromFile(architecture), latencyMs }));
}

/** What predictors may know of a table: its blocks (if it has any) and its space. */
export function tableContext(table: LatencyTable, space: SearchSpace = tableSpace(table)): PredictorContext {
  if (Object.keys(table.entries).length === 0) return { space };
  return { space, blockLatencyMs: (key, imageSize) => tableEntry(table, key, imageSize).latencyMs };
}

/** Answers from one table; the predictor is fitted on the table's `fit` subnets once. */
export class LatencyQuery {
  readonly space: SearchSpace;
  readonly predictor: LatencyPredictor;

  /** `method`: name of a predictor; default the best by leave-one-out error. Throws UserError where it cannot be fitted. */
  constructor(
    readonly table: LatencyTable,
    method?: string,
  ) {
    this.space = tableSpace(table);
    const context = tableContext(table, this.space);
    const examples = tableExamples(table, 'fit');
    if (method === undefined) {
      this.predictor = chooseLatencyPredictor(examples, context);
      return;
    }
    const definition = latencyPredictorByName(method);
    if (!applicablePredictors(examples, context).includes(definition)) {
      throw new UserError(
        `Cannot predict latency by "${method}": it needs ${definition.minExamples} measured subnets${definition.needsTable ? ' and a table of blocks' : ''}: ` +
          `the table has ${examples.length} subnets and ${Object.keys(table.entries).length} blocks`,
      );
    }
    this.predictor = definition.fit(examples, context);
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
    const latencyMs = tableSum(network, tableContext(this.table, this.space));
    return { latencyMs, intervalMs: null, method: 'table', device: this.table.device.name };
  }

  /** A block's entry by key; see `tableEntry`. */
  block(key: string, imageSize?: number): ReturnType<typeof tableEntry> {
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
  return new LatencyQuery(await readTable(path), method);
}

export interface LatencyValidation {
  readonly device: string;
  readonly space: string;
  /** The predictor that queries use. */
  readonly method: string;
  /** Of that predictor, on the `check` subnets. */
  readonly errors: LatencyErrors;
  /** All predictors that could be fitted, on the same subnets. */
  readonly byMethod: Readonly<Record<string, LatencyErrors>>;
  readonly networks: readonly { readonly predictedMs: number; readonly measuredMs: number }[];
}

/**
 * Predicted against measured on the subnets that no predictor has seen. Throws UserError where there are none.
 */
export function validateTable(table: LatencyTable): LatencyValidation {
  const checks = tableExamples(table, 'check');
  if (checks.length === 0 && table.format === 'ofakit.imported-latency-table/1') {
    throw new UserError(
      `Cannot validate the latency table of device "${table.device.name}": its figures were imported, without whole subnets to check with`,
    );
  }
  if (checks.length === 0) {
    throw new UserError(
      `Cannot validate the latency table of device "${table.device.name}": it has no whole subnets to check with; ` +
        `measure some with "ofa measure --space ${table.space.name} --device ${table.device.name} --whole 20"`,
    );
  }
  const measuredMs = checks.map(({ latencyMs }) => latencyMs);
  const predict = (predictor: LatencyPredictor): number[] =>
    checks.map(({ architecture }) => predictor.predict(architecture).latencyMs);
  const { space, predictor } = new LatencyQuery(table);
  const examples = tableExamples(table, 'fit');
  const context = tableContext(table, space);
  const predictedMs = predict(predictor);
  return {
    device: table.device.name,
    space: table.space.name,
    method: predictor.name,
    errors: evaluateLatency(predictedMs, measuredMs),
    byMethod: Object.fromEntries(
      applicablePredictors(examples, context).map((definition) => [
        definition.name,
        evaluateLatency(predict(definition.fit(examples, context)), measuredMs),
      ]),
    ),
    networks: predictedMs.map((predicted, i) => ({ predictedMs: predicted, measuredMs: measuredMs[i]! })),
  };
}
