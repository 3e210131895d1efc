/** How well latencies are predicted, a device at a time. */
import { histogram } from '../axis.js';
import { binLabel, distributionChart } from '../charts/distribution.js';
import { predictionChart } from '../charts/prediction.js';
import type { ReportLatency } from '../data.js';
import { capitalise, countOf, formatInteger, formatMs, formatPercent, formatTau } from '../format.js';
import { figure, html, table, type Html } from '../html.js';
import type { Section, SectionContext } from './section.js';

export const latencySection: Section = async ({ data, draw }) => {
  if (data.latency.length === 0) {
    return html`<section aria-labelledby="latency">
      <h2 id="latency">Latency predictions</h2>
      <p>
        Not measured. <code>ofa measure --space S --device NAME --whole 100</code> fills a latency table, and
        times whole subnets to check it with.
      </p>
    </section>`;
  }
  const parts: Html[] = [];
  for (const latency of data.latency) parts.push(await devicePart(latency, draw));
  return html`<section aria-labelledby="latency">
    <h2 id="latency">Latency predictions</h2>
    ${parts}
  </section>`;
};

async function devicePart(latency: ReportLatency, draw: SectionContext['draw']): Promise<Html> {
  const { device, points, histogramMs, heldOut } = latency;
  const metrics = table<readonly [string, string]>(
    `On ${countOf(heldOut, 'subnet')} that were measured and not used to fit`,
    [
      { head: 'Figure', cell: ([name]) => name },
      { head: 'Value', numeric: true, cell: ([, value]) => value },
    ],
    [
      ['Mean error (MAPE)', formatPercent(latency.mape)],
      ['At most 5 % off', formatPercent(latency.within5Percent)],
      ['At most 10 % off', formatPercent(latency.within10Percent)],
      ['Kendall tau', formatTau(latency.kendallTau)],
    ],
  );
  const scatter =
    points.length > 0 &&
    figure(
      await draw(
        predictionChart({
          label: `Predicted against measured latency of ${points.length} held-out subnets on ${device}; mean error ${formatPercent(latency.mape)}`,
          quantity: 'latency (ms)',
          points: points.map(({ predictedMs, measuredMs }) => ({
            predicted: predictedMs,
            measured: measuredMs,
          })),
          band: { name: '±10 %', around: (ms) => [0.9 * ms, 1.1 * ms] },
          factor: 1,
          format: formatMs,
        }),
      ),
      'Points on the dashed line were predicted exactly.',
      table(
        `Predicted and measured latency on ${device}`,
        [
          { head: 'Measured', numeric: true, cell: ({ measuredMs }) => formatMs(measuredMs) },
          { head: 'Predicted', numeric: true, cell: ({ predictedMs }) => formatMs(predictedMs) },
        ],
        [...points].sort((a, b) => a.measuredMs - b.measuredMs),
      ),
    );
  const bins = histogram(histogramMs);
  const spread =
    bins.length > 0 &&
    figure(
      await draw(distributionChart(device, bins)),
      `${capitalise(countOf(histogramMs.length, 'subnet'))} of the space${latency.histogramOf === 'predicted' ? ', as predicted' : ''}: how far apart they are on ${device}.`,
      table(
        `Subnets by latency on ${device}`,
        [
          { head: 'Latency (ms)', cell: binLabel },
          { head: 'Subnets', numeric: true, cell: ({ count }) => formatInteger(count) },
        ],
        bins,
      ),
    );
  return html`<h3>${device}</h3>
    <div class="pair">${scatter}${metrics}</div>
    ${spread}`;
}
