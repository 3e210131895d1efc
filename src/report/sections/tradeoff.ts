/** Accuracy against latency, a picture a device. */
import { describeArchitecture } from '../architecturePicture.js';
import { MOST_POINTS, tradeoffChart } from '../charts/tradeoff.js';
import { reportDevices } from '../data.js';
import { countOf, formatMs, formatTop1 } from '../format.js';
import { figure, html, table } from '../html.js';
import type { Section } from './section.js';

export const tradeoffSection: Section = async ({ data, draw }) => {
  const figures = [];
  for (const device of reportDevices(data)) {
    const chart = tradeoffChart(data, device);
    if (chart === undefined) continue;
    const front = data.front
      .filter((point) => point.device === device)
      .sort((a, b) => a.latencyMs - b.latencyMs);
    const subnets = data.subnets.filter((subnet) => subnet.device === device);
    const thinned = subnets.length > MOST_POINTS && ` At most ${MOST_POINTS} points of a kind are drawn.`;
    const caption = html`${subnets.length > 0 && `On ${device}: each grey point is one subnet (${countOf(subnets.length, 'subnet')}), its latency measured or, where the point is hollow, predicted. `}
    ${
      front.length > 0 &&
      'The line joins the best that the predictors promise: no subnet found is both faster and more accurate. '
    }
    ${
      data.models.some((model) => model.device === device) &&
      'Diamonds are the chosen models as measured on the same validation images; their labels are the latency limits they were searched for. The table has their accuracy on test images.'
    }${thinned}`;
    const numbers =
      front.length > 0 &&
      table(
        `Pareto front on ${device}, as predicted`,
        [
          { head: 'Latency', numeric: true, cell: ({ latencyMs }) => formatMs(latencyMs) },
          { head: 'Predicted top-1 (validation)', numeric: true, cell: ({ top1 }) => formatTop1(top1) },
          {
            head: 'Architecture',
            cell: ({ architecture }) => describeArchitecture(architecture, data.space.blocks),
          },
        ],
        front,
      );
    figures.push(figure(await draw(chart), caption, numbers || undefined));
  }
  if (figures.length === 0) return undefined;
  return html`<section aria-labelledby="tradeoff">
    <h2 id="tradeoff">Accuracy against latency</h2>
    ${figures}
  </section>`;
};
