/** How well accuracies are predicted. */
import { predictionChart } from '../charts/prediction.js';
import { countOf, formatTau, formatTop1 } from '../format.js';
import { figure, html, table } from '../html.js';
import type { Section } from './section.js';

const plusMinus = (standardError: number | undefined, digits: number): string =>
  standardError === undefined ? '' : ` ± ${standardError.toFixed(digits)}`;

export const accuracySection: Section = async ({ data: { accuracy }, draw }) => {
  if (accuracy === undefined) {
    return html`<section aria-labelledby="accuracy">
      <h2 id="accuracy">Accuracy predictions</h2>
      <p>
        Not judged here. <code>ofa accuracy sample --supernet RUN --count 200 --data D</code> measures
        subnets, then <code>ofa accuracy fit --supernet RUN</code> fits a predictor and judges it on held-out
        ones.
      </p>
    </section>`;
  }
  const { points, rmsePoints, kendallTau, heldOut } = accuracy;
  const around = rmsePoints / 100;
  const scatter =
    points.length > 0 &&
    figure(
      await draw(
        predictionChart({
          label: `Predicted against measured top-1 of ${points.length} held-out subnets; root mean square error ${rmsePoints.toFixed(2)} percentage points`,
          quantity: 'top-1 (%)',
          points: points.map(({ predictedTop1, measuredTop1 }) => ({
            predicted: predictedTop1,
            measured: measuredTop1,
          })),
          band: { name: `±${rmsePoints.toFixed(2)} points (RMSE)`, around: (x) => [x - around, x + around] },
          factor: 100,
          format: formatTop1,
        }),
      ),
      'Points on the dashed line were predicted exactly.',
      table(
        'Predicted and measured top-1 on validation images',
        [
          { head: 'Measured', numeric: true, cell: ({ measuredTop1 }) => formatTop1(measuredTop1) },
          { head: 'Predicted', numeric: true, cell: ({ predictedTop1 }) => formatTop1(predictedTop1) },
        ],
        [...points].sort((a, b) => a.measuredTop1 - b.measuredTop1),
      ),
    );
  return html`<section aria-labelledby="accuracy">
    <h2 id="accuracy">Accuracy predictions</h2>
    <div class="pair">
      ${scatter}${table<readonly [string, string]>(
        `On ${countOf(heldOut, 'subnet')} that the predictor never saw`,
        [
          { head: 'Figure', cell: ([name]) => name },
          { head: 'Value', numeric: true, cell: ([, value]) => value },
        ],
        [
          [
            'Root mean square error (validation)',
            `${rmsePoints.toFixed(2)}${plusMinus(accuracy.rmsePointsStandardError, 2)} points`,
          ],
          [
            'Kendall tau (validation)',
            `${formatTau(kendallTau)}${plusMinus(kendallTau === null ? undefined : accuracy.kendallTauStandardError, 3)}`,
          ],
        ],
      )}
    </div>
  </section>`;
};
