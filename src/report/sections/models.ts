/** The chosen models: what was promised, what was measured, and what they look like. */
import { architecturePicture, describeArchitecture } from '../architecturePicture.js';
import type { ReportModel } from '../data.js';
import { formatCount, formatLimit, formatMeasured, formatMs, formatPercent, formatTop1 } from '../format.js';
import { cleanText, figure, html, relativeLink, table, type Html } from '../html.js';
import type { Section } from './section.js';

function fileLink(path: string): Html {
  const link = relativeLink(path);
  const name = cleanText(path).split(/[/\\]/).at(-1)!;
  return link === undefined ? html`${name}` : html`<a href="${link}">${name}</a>`;
}

const modelName = ({ device, maxLatencyMs }: Pick<ReportModel, 'device' | 'maxLatencyMs'>): string =>
  `${device}, ≤ ${formatLimit(maxLatencyMs)}`;

/** Models that are one, and such as use much less than their limit. */
function notes(models: readonly ReportModel[]): Html | undefined {
  const texts = models.flatMap((model) => {
    const { sameModelAs = [], spare = null } = model;
    return [
      ...(sameModelAs.length === 0
        ? []
        : [`${modelName(model)}: the same model as for ${sameModelAs.map(modelName).join(' and ')}.`]),
      ...(spare === null
        ? []
        : [
            `${modelName(model)}: uses ${formatPercent(100 * spare.share, 0)} of its limit: ${spare.explanation}.`,
          ]),
    ];
  });
  if (texts.length === 0) return undefined;
  return html`<ul>
    ${texts.map((text) => html`<li>${text}</li>`)}
  </ul>`;
}

export const modelsSection: Section = ({ data: { models, space } }) => {
  if (models.length === 0) {
    return Promise.resolve(
      html`<section aria-labelledby="models">
        <h2 id="models">Chosen models</h2>
        <p>
          None yet.
          <code>ofa specialize --supernet RUN --device NAME --max-latency-ms X --out DIR</code> searches a
          model for a latency limit, exports it and measures it.
        </p>
      </section>`,
    );
  }
  const strips = models.map((model) => {
    const picture = architecturePicture(model.architecture, space.blocks, modelName(model));
    return html`<h3>${modelName(model)}: image size ${model.architecture.image_size}</h3>
      ${
        picture === undefined
          ? html`<p>${describeArchitecture(model.architecture, space.blocks)}</p>`
          : figure(
              picture,
              '',
              html`<p>${describeArchitecture(model.architecture, space.blocks)}</p>
                <p><code>${JSON.stringify(model.architecture)}</code></p>`,
            )
      }`;
  });
  return Promise.resolve(
    html`<section aria-labelledby="models">
      <h2 id="models">Chosen models</h2>
      ${table<ReportModel>(
        'Latency of one image. Predicted is what the search believed, of top-1 on validation images; measured is what the exported file does, of top-1 on test images, with its standard error',
        [
          { head: 'Device', cell: ({ device }) => device },
          { head: 'Limit', numeric: true, cell: ({ maxLatencyMs }) => `≤ ${formatLimit(maxLatencyMs)}` },
          { head: 'Predicted latency', numeric: true, cell: ({ predictedMs }) => formatMs(predictedMs) },
          { head: 'Measured latency', numeric: true, cell: ({ measuredMs }) => formatMs(measuredMs) },
          {
            head: 'Within limit',
            cell: ({ meetsLimit }) =>
              meetsLimit ? html`<span class="yes">yes</span>` : html`<span class="no">no</span>`,
          },
          {
            head: 'Predicted top-1 (validation)',
            numeric: true,
            cell: ({ predictedTop1 }) => formatTop1(predictedTop1),
          },
          {
            head: 'Measured top-1 (test)',
            numeric: true,
            cell: (model) => formatMeasured(model.measuredTop1, model.measuredTop1StandardError),
          },
          { head: 'MACs', numeric: true, cell: ({ macs }) => formatCount(macs) },
          { head: 'Parameters', numeric: true, cell: ({ params }) => formatCount(params) },
          { head: 'File', cell: ({ file }) => fileLink(file) },
        ],
        models,
      )}
      ${notes(models)}
      <h3>What they look like</h3>
      <p>
        A box is a block: its height is the expand ratio (e), its colour the kernel size:
        ${[3, 5, 7].map((k) => html`<span class="kernel"><span class="key k${k}"></span>${k}×${k}</span> `)}
        (dashed boxes are switched off by depth).
      </p>
      ${strips}
    </section>`,
  );
};
