/** What `ofa specialize` found, as tables for a terminal. */
import { describeSpare } from '../pipeline/limitUse.js';
import type {
  CellName,
  DevicePredictions,
  SpecializationFile,
  SpecializedModelFile,
} from '../pipeline/specialization.js';
import { formatRows } from './console.js';
import { percent, withError } from './context.js';

type ModelRow = Pick<
  SpecializedModelFile,
  | 'device'
  | 'maxLatencyMs'
  | 'predictedMs'
  | 'measuredMs'
  | 'meetsLimit'
  | 'predictedTop1'
  | 'measuredTop1'
  | 'measuredTop1StandardError'
  | 'macs'
  | 'onnx'
  | 'sameModelAs'
  | 'spare'
>;

/** Budget, predicted and measured latency and top-1, file; below, what is to be said of some. */
export function formatModels(models: readonly ModelRow[]): string {
  return (
    formatTable(models) +
    notesOf(models)
      .map((note) => `${note}\n`)
      .join('')
  );
}

function notesOf(models: readonly ModelRow[]): string[] {
  return models.flatMap((model) => {
    const { sameModelAs, spare } = model;
    const notes = [
      ...(sameModelAs.length === 0
        ? []
        : [`is the same model as for ${sameModelAs.map(cellName).join(' and ')}`]),
      ...(spare === null ? [] : [describeSpare(spare)]),
    ];
    return notes.map((note) => `The model for ${cellName(model)} ${note}`);
  });
}

function formatTable(models: readonly ModelRow[]): string {
  return formatRows(
    [
      'device',
      'limit ms',
      'predicted ms',
      'measured ms',
      'within',
      'predicted top-1 (validation)',
      'measured top-1 (test)',
      'MACs (millions)',
      'file',
    ],
    models.map((m) => [
      m.device,
      m.maxLatencyMs,
      m.predictedMs.toFixed(3),
      m.measuredMs.toFixed(3),
      m.meetsLimit ? 'yes' : 'NO',
      percent(m.predictedTop1),
      withError(m.measuredTop1, m.measuredTop1StandardError),
      (m.macs / 1e6).toFixed(2),
      m.onnx,
    ]),
  );
}

/** Everything: the models, what predictions were worth, every model on every device, what specialising bought. */
export function formatSpecialization({
  models,
  predictions,
  infeasible,
}: Pick<SpecializationFile, 'models' | 'predictions' | 'infeasible'>): string {
  const parts = [formatModels(models), formatPredictions(predictions)];
  const devices = new Set(models.flatMap(({ onDevices }) => onDevices.map(({ device }) => device)));
  if (devices.size > 1) parts.push(formatMatrix(models, [...devices]), formatBorrowed(models));
  parts.push(
    ...infeasible.map((cell) => `No model for ${cell.maxLatencyMs} ms on ${cell.device}: ${cell.reason}\n`),
  );
  return parts.join('\n');
}

function formatPredictions(predictions: readonly DevicePredictions[]): string {
  return `What latency predictions were worth: finalists predicted to keep their limit\n${formatRows(
    ['device', 'kept it', 'broke it', 'kept it unforeseen', 'networks', 'mean error', 'within 10 %'],
    predictions.map((p) => [
      p.device,
      p.kept,
      p.broke,
      p.missed,
      p.networks,
      `${p.mape.toFixed(1)} %`,
      `${p.within10Percent.toFixed(0)} %`,
    ]),
  )}`;
}

const cellName = ({ device, maxLatencyMs }: CellName): string => `${device}, ${maxLatencyMs} ms`;

function formatMatrix(models: readonly SpecializedModelFile[], devices: readonly string[]): string {
  const rows = models.map(({ onDevices, ...model }) => [
    cellName(model),
    ...devices.map((device) => {
      const placement = onDevices.find((on) => on.device === device);
      // Chosen by an earlier call, without this device.
      if (placement === undefined) return '-';
      const { measuredMs, predictedMs } = placement;
      const measured = measuredMs === null ? 'not run' : measuredMs.toFixed(3);
      return `${measured} (${predictedMs === null ? '-' : predictedMs.toFixed(3)})`;
    }),
  ]);
  return `Each model on every device: measured (predicted) ms\n${formatRows(
    ['chosen for', ...devices.map((device) => `on ${device}`)],
    rows,
  )}`;
}

function formatBorrowed(models: readonly SpecializedModelFile[]): string {
  const rows = models.map((model) => {
    const { borrowed, measuredTop1, measuredTop1StandardError } = model;
    const own = [cellName(model), withError(measuredTop1, measuredTop1StandardError)];
    if (borrowed === null) return [...own, 'none keeps the limit', '-', '-'];
    const points = 100 * (measuredTop1 - borrowed.measuredTop1);
    return [
      ...own,
      `that for ${cellName(borrowed)}`,
      withError(borrowed.measuredTop1, borrowed.measuredTop1StandardError),
      `${points >= 0 ? '+' : ''}${points.toFixed(2)} points`,
    ];
  });
  return `What specialising bought: top-1 on test images beside the best model of another device that keeps the limit\n${formatRows(
    ['device and limit', 'top-1 (test)', 'else', 'top-1 (test)', 'gained'],
    rows,
  )}`;
}
