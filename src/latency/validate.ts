/** How good a table's predictions are. */
import { UserError } from '../util/errors.js';
import { fitPredictor } from './crossValidation.js';
import { evaluateLatency, type LatencyErrors } from './evaluate.js';
import { knownExamples, tableContext } from './fitted.js';
import { agreementOfPasses, type PassesAgreement } from './passes.js';
import type { LatencyPredictor } from './predictor.js';
import { applicablePredictors } from './predictors.js';
import { LatencyQuery } from './query.js';
import type { LatencyTable } from './table.js';

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
  /** How far one measurement repeats; null where networks were measured once. */
  readonly passes: PassesAgreement | null;
}

/**
 * Predicted against measured on the subnets that no predictor has seen. Throws UserError where there are none.
 */
export function validateTable(table: LatencyTable): LatencyValidation {
  const checks = knownExamples(table, 'check');
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
  const { space, predictor } = new LatencyQuery(table);
  const judge = (judged: LatencyPredictor): LatencyErrors => {
    const answers = checks.map(({ architecture }) => judged.predict(architecture));
    return evaluateLatency(
      answers.map(({ latencyMs }) => latencyMs),
      measuredMs,
      answers.map(({ intervalMs }) => intervalMs),
    );
  };
  const examples = knownExamples(table, 'fit');
  const context = tableContext(table, space);
  return {
    device: table.device.name,
    space: table.space.name,
    method: predictor.name,
    errors: judge(predictor),
    byMethod: Object.fromEntries(
      applicablePredictors(examples, context).map((definition) => [
        definition.name,
        judge(definition.name === predictor.name ? predictor : fitPredictor(definition, examples, context)),
      ]),
    ),
    networks: checks.map(({ architecture }, i) => ({
      predictedMs: predictor.predict(architecture).latencyMs,
      measuredMs: measuredMs[i]!,
    })),
    passes: table.format === 'ofakit.latency-table/1' ? agreementOfPasses(table) : null,
  };
}
