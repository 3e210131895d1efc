/** What the predictions behind each choice were worth, every chosen model on every device, and what specialising bought. */
import type { ReportModel } from '../data.js';
import { formatInteger, formatLimit, formatMeasured, formatMs, formatTop1 } from '../format.js';
import { html, table, type Html } from '../html.js';
import type { Section } from './section.js';

const cellName = ({ device, maxLatencyMs }: Pick<ReportModel, 'device' | 'maxLatencyMs'>): string =>
  `${device}, ≤ ${formatLimit(maxLatencyMs)}`;

/** The section is left out where nothing is known beside the chosen models themselves. */
export const devicesSection: Section = ({ data: { models } }) => {
  const judged = models.filter(({ finalists = [] }) => finalists.length > 0);
  const placed = models.filter(({ onDevices = [] }) => onDevices.length > 1);
  if (judged.length === 0 && placed.length === 0) return Promise.resolve(undefined);
  return Promise.resolve(
    html`<section aria-labelledby="devices">
      <h2 id="devices">Predicted, measured, and measured elsewhere</h2>
      ${judged.length > 0 && finalistsPart(judged)} ${placed.length > 0 && matrixPart(placed)}
    </section>`,
  );
};

const yes = (text: string): Html => html`<span class="yes">${text}</span>`;
const no = (text: string): Html => html`<span class="no">${text}</span>`;

function finalistsPart(models: readonly ReportModel[]): Html {
  const rows = models.flatMap((model) => model.finalists!.map((finalist) => ({ model, finalist })));
  const predicted = ({ finalists = [], maxLatencyMs }: ReportModel): NonNullable<ReportModel['finalists']> =>
    finalists.filter(({ predictedMs }) => predictedMs <= maxLatencyMs);
  return html`<h3>What the predictions were worth</h3>
    <p>
      For each limit the networks that are predicted to be the most accurate within it were measured on the
      device; the most accurate that keeps the limit there was chosen.
    </p>
    ${table<ReportModel>(
      'Finalists that were predicted to keep their limit',
      [
        { head: 'Chosen for', cell: cellName },
        { head: 'Finalists', numeric: true, cell: (model) => formatInteger(predicted(model).length) },
        {
          head: 'Kept the limit',
          numeric: true,
          cell: (model) => formatInteger(predicted(model).filter(({ meetsLimit }) => meetsLimit).length),
        },
        {
          head: 'Broke it',
          numeric: true,
          cell: (model) => formatInteger(predicted(model).filter(({ meetsLimit }) => !meetsLimit).length),
        },
      ],
      models,
    )}
    <details>
      <summary>All finalists</summary>
      ${table<(typeof rows)[number]>(
        'Measured twice where a network was chosen at some time; both must keep the limit',
        [
          { head: 'For', cell: ({ model }) => cellName(model) },
          { head: 'Predicted', numeric: true, cell: ({ finalist }) => formatMs(finalist.predictedMs) },
          { head: 'Measured', numeric: true, cell: ({ finalist }) => formatMs(finalist.measuredMs) },
          {
            head: 'Again',
            numeric: true,
            cell: ({ finalist: { measuredAgainMs } }) =>
              measuredAgainMs === null ? '' : formatMs(measuredAgainMs),
          },
          {
            head: 'Within limit',
            cell: ({ finalist: { meetsLimit } }) => (meetsLimit ? yes('yes') : no('no')),
          },
          {
            head: 'Predicted top-1 (validation)',
            numeric: true,
            cell: ({ finalist }) => formatTop1(finalist.predictedTop1),
          },
          {
            head: 'Validation top-1',
            numeric: true,
            cell: ({ finalist }) =>
              formatMeasured(finalist.validationTop1, finalist.validationTop1StandardError),
          },
          { head: 'Chosen', cell: ({ finalist }) => (finalist.chosen ? 'yes' : '') },
        ],
        rows,
      )}
    </details>`;
}

function matrixPart(models: readonly ReportModel[]): Html {
  const devices = [...new Set(models.flatMap(({ onDevices }) => onDevices!.map(({ device }) => device)))];
  const cell = (model: ReportModel, device: string): Html | string => {
    const { measuredMs = null, predictedMs = null } =
      model.onDevices!.find((on) => on.device === device) ?? {};
    const predicted = predictedMs === null ? '' : ` (${formatMs(predictedMs)})`;
    if (measuredMs === null) return `not measured${predicted}`;
    const text = `${formatMs(measuredMs)}${predicted}`;
    return device === model.device ? html`<strong>${text}</strong>` : text;
  };
  return html`<h3>Every model on every device</h3>
    ${table<ReportModel>(
      'Measured latency, predicted in brackets; bold: on the device that the model was chosen for. The models of a column were measured side by side',
      [
        { head: 'Chosen for', cell: cellName },
        ...devices.map((device) => ({
          head: `On ${device}`,
          numeric: true,
          cell: (model: ReportModel) => cell(model, device),
        })),
      ],
      models,
    )}
    <h3>What specialising bought</h3>
    ${table<ReportModel>(
      'Beside the most accurate model chosen for another device that keeps the limit here; top-1 on the test split',
      [
        { head: 'Device and limit', cell: cellName },
        {
          head: 'Own model (test)',
          numeric: true,
          cell: (model) => formatMeasured(model.measuredTop1, model.measuredTop1StandardError),
        },
        {
          head: 'Without it',
          cell: ({ borrowed }) =>
            borrowed == null ? 'no model keeps the limit' : `that for ${cellName(borrowed)}`,
        },
        {
          head: 'Top-1 (test)',
          numeric: true,
          cell: ({ borrowed }) =>
            borrowed == null ? '' : formatMeasured(borrowed.measuredTop1, borrowed.measuredTop1StandardError),
        },
        {
          head: 'Gained',
          numeric: true,
          cell: ({ borrowed, measuredTop1 }) => (borrowed == null ? '' : gain(measuredTop1, borrowed)),
        },
      ],
      models,
    )}`;
}

function gain(own: number, borrowed: NonNullable<ReportModel['borrowed']>): string {
  const points = 100 * (own - borrowed.measuredTop1);
  return `${points >= 0 ? '+' : '−'}${Math.abs(points).toFixed(2)} points`;
}
