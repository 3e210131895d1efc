/** The training of the supernet. */
import { lossChart, validationChart } from '../charts/training.js';
import { formatInteger, formatTop1 } from '../format.js';
import { figure, html, table } from '../html.js';
import type { Section } from './section.js';

export const trainingSection: Section = async ({ data: { training }, draw }) => {
  if (training === undefined) return undefined;
  const { phases, validation } = training;
  const loss = lossChart(training);
  const curves = validationChart(training);
  const last = [...new Map(validation.map((point) => [point.subnet, point])).values()];
  return html`<section aria-labelledby="training">
    <h2 id="training">Training</h2>
    ${
      phases.length > 0 &&
      table(
        'Phases',
        [
          { head: 'Number', numeric: true, cell: ({ number }) => `${number}` },
          { head: 'Phase', cell: ({ name }) => name },
          { head: 'From step', numeric: true, cell: ({ startStep }) => formatInteger(startStep) },
        ],
        phases.map((phase, i) => ({ number: i + 1, ...phase })),
      )
    }
    ${
      curves &&
      figure(
        await draw(curves),
        'Top-1 on the validation split, batch norm recalibrated for each subnet. Dotted lines are beginnings of phases, numbered as in the table.',
        table(
          'Validation top-1 at the last check',
          [
            { head: 'Subnet', cell: ({ subnet }) => subnet },
            { head: 'Step', numeric: true, cell: ({ step }) => formatInteger(step) },
            { head: 'Top-1 (validation)', numeric: true, cell: ({ top1 }) => formatTop1(top1) },
          ],
          last,
        ),
      )
    }
    ${
      loss &&
      figure(
        await draw(loss),
        'Mean loss over the subnets of a step. It steps up where a phase adds smaller subnets: they are harder to fit.',
      )
    }
  </section>`;
};
