/** Models of a table beside each other: what is borrowed, which are one, and what predictions were worth. */
import { MORE_IMAGES } from '../accuracy/reliability.js';
import { evaluateLatency } from '../latency/evaluate.js';
import { fractionStandardError } from '../util/standardError.js';
import { sameModels } from './limitUse.js';
import {
  bestBorrowed,
  inOrder,
  type DevicePredictions,
  type EarlierCells,
  type Specialization,
  type SpecializedModel,
  type SpecializedModelFile,
} from './specialization.js';

/** Before it is seen beside others. */
export type ExportedModel = Omit<SpecializedModel, 'borrowed' | 'sameModelAs'>;

/** Models of this call beside each other and beside those of earlier calls. `targets`: names of this call's devices. */
export function compareModels(
  targets: readonly string[],
  exported: readonly ExportedModel[],
  earlier: EarlierCells,
): Pick<Specialization, 'models' | 'earlier' | 'predictions'> {
  const all = [...exported, ...earlier.models];
  const same = sameModels(all);
  const beside = <M extends SpecializedModelFile | ExportedModel>(model: M) => ({
    ...model,
    borrowed: bestBorrowed(model, all),
    sameModelAs: same[all.indexOf(model)]!,
  });
  const devices = new Set([...targets, ...all.map(({ device }) => device)]);
  return {
    models: inOrder(exported).map(beside),
    earlier: { ...earlier, models: earlier.models.map(beside) },
    predictions: [...devices].flatMap((device) => predictionsOf(device, all)),
  };
}

/**
 * A warning for each device on which models of neighbouring limits differ in validation accuracy by less than the standard error
 * of the difference, were they judged on images of their own. `images`: that all were judged on.
 */
export function choiceDoubts(models: readonly ExportedModel[], images: number): string[] {
  return [...new Set(models.map(({ device }) => device))].flatMap((device) => {
    const distinct = new Map<string, ExportedModel>();
    for (const model of inOrder(models.filter((one) => one.device === device))) {
      const key = JSON.stringify(model.architecture);
      if (!distinct.has(key)) distinct.set(key, model);
    }
    const ordered = [...distinct.values()];
    const pairs = ordered.slice(1).flatMap((model, i) => {
      const other = ordered[i]!;
      const difference = Math.abs(model.validationTop1 - other.validationTop1);
      const error = Math.hypot(
        ...[model, other].map(({ validationTop1 }) => fractionStandardError(validationTop1, images)),
      );
      return difference < error ? [{ limits: [other.maxLatencyMs, model.maxLatencyMs], error }] : [];
    });
    if (pairs.length === 0) return [];
    const list = pairs.map(({ limits: [a, b] }) => `${a} and ${b} ms`).join(', ');
    const error = Math.max(...pairs.map((pair) => pair.error));
    return [
      `The models for ${list} on ${device} differ by less than the standard error of ${(100 * error).toFixed(1)} points that ${images} ` +
        `validation images leave: which is better is mostly chance; what helps: ${MORE_IMAGES}`,
    ];
  });
}

/** Over all networks that were measured on the device; [] where none was. */
function predictionsOf(
  device: string,
  models: readonly Pick<
    SpecializedModel,
    'device' | 'maxLatencyMs' | 'architecture' | 'finalists' | 'onDevices'
  >[],
): DevicePredictions[] {
  const pairs = new Map<string, readonly [predictedMs: number, measuredMs: number]>();
  for (const { architecture, onDevices } of models) {
    const { predictedMs = null, measuredMs = null } = onDevices.find((on) => on.device === device) ?? {};
    if (predictedMs !== null && measuredMs !== null)
      pairs.set(JSON.stringify(architecture), [predictedMs, measuredMs]);
  }
  const counts = { kept: 0, broke: 0, missed: 0 };
  for (const { maxLatencyMs, finalists } of models.filter((model) => model.device === device)) {
    for (const { architecture, predictedMs, measuredMs, meetsLimit } of finalists) {
      pairs.set(JSON.stringify(architecture), [predictedMs, measuredMs]);
      if (predictedMs <= maxLatencyMs) counts[meetsLimit ? 'kept' : 'broke']++;
      else if (meetsLimit) counts.missed++;
    }
  }
  if (pairs.size === 0) return [];
  const { mape, within10Percent } = evaluateLatency(
    [...pairs.values()].map(([predictedMs]) => predictedMs),
    [...pairs.values()].map(([, measuredMs]) => measuredMs),
  );
  return [{ device, networks: pairs.size, mape, within10Percent, ...counts }];
}
