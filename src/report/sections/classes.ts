/** Which classes the chosen models recognise, and which they take for one another. */
import type { ReportData, ReportModel } from '../data.js';
import { countOf, formatInteger, formatLimit, formatTop1 } from '../format.js';
import { Html, html, table } from '../html.js';
import type { Section } from './section.js';

/** A matrix of more classes is no longer readable. */
const MATRIX_CLASSES = 20;
/** Of more classes, so many pairs are listed. */
const LISTED_PAIRS = 20;

type ClassScore = NonNullable<ReportModel['byClass']>;

export const classesSection: Section = ({ data }) => {
  const models = distinct(data.models);
  if (models.length === 0) return Promise.resolve(undefined);
  return Promise.resolve(
    html`<section aria-labelledby="classes">
      <h2 id="classes">Classes</h2>
      <p>On test images. Accuracies of classes with few images say little.</p>
      ${models.map(([name, score], i) => modelPart(name, score, data, i === 0))}
    </section>`,
  );
};

/** Models that know their classes, each network once, with the names of all limits that it was chosen for. */
function distinct(models: readonly ReportModel[]): [string, ClassScore][] {
  const found = new Map<string, { names: string[]; score: ClassScore }>();
  for (const { architecture, byClass, device, maxLatencyMs } of models) {
    if (byClass === undefined || byClass === null) continue;
    const key = JSON.stringify(architecture);
    const known = found.get(key) ?? { names: [], score: byClass };
    known.names.push(`${device}, ≤ ${formatLimit(maxLatencyMs)}`);
    found.set(key, known);
  }
  return [...found.values()].map(({ names, score }) => [names.join('; '), score]);
}

function modelPart(name: string, score: ClassScore, { classNames }: ReportData, open: boolean): Html {
  const nameOf = (label: number): string => classNames?.[label] ?? `class ${label}`;
  const rows = score.count
    .map((count, label) => ({ label, count, correct: score.correct[label] ?? 0 }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => a.correct / a.count - b.correct / b.count);
  return html`<details ${open && new Html('open=""')}>
    <summary>${name}</summary>
    ${table(
      `Classes of ${name}, the hardest first`,
      [
        { head: 'Class', cell: ({ label }) => nameOf(label) },
        { head: 'Images', numeric: true, cell: ({ count }) => formatInteger(count) },
        {
          head: 'Recognised',
          numeric: true,
          cell: ({ correct, count }) => formatTop1(correct / count),
        },
      ],
      rows,
    )}
    ${score.count.length <= MATRIX_CLASSES ? matrix(name, score, nameOf) : pairs(name, score, nameOf)}
  </details>`;
}

/** Rows are what an image shows, columns what the model says. */
function matrix(
  name: string,
  { count, correct, confused }: ClassScore,
  nameOf: (label: number) => string,
): Html {
  const counts = count.map((_, label) => count.map((__, answer) => (label === answer ? correct[label]! : 0)));
  for (const [label, answer, images] of confused) counts[label]![answer] = images;
  const cell = (images: number, label: number): Html => {
    const share = count[label] === 0 ? 0 : Math.round((100 * images) / count[label]!);
    return html`<td class="number cell" style="--share: ${share}%">
      ${images === 0 ? '' : formatInteger(images)}
    </td>`;
  };
  return html`<div class="scroll" role="region" aria-label="Confusion matrix of ${name}" tabindex="0">
    <table class="confusion">
      <caption>
        Confusion matrix: rows are what an image shows, columns what the model takes it for
      </caption>
      <thead>
        <tr>
          <th scope="col"></th>
          ${count.map((_, answer) => html`<th scope="col" class="number">${nameOf(answer)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${counts.map(
          (row, label) =>
            html`<tr>
              <th scope="row">${nameOf(label)}</th>
              ${row.map((images) => cell(images, label))}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function pairs(name: string, { count, confused }: ClassScore, nameOf: (label: number) => string): Html {
  return table(
    `The most frequent confusions of ${name}`,
    [
      { head: 'Shows', cell: ([label]) => nameOf(label) },
      { head: 'Taken for', cell: ([, answer]) => nameOf(answer) },
      {
        head: 'Images',
        numeric: true,
        cell: ([label, , images]) => `${images} of ${countOf(count[label]!, 'image')}`,
      },
    ],
    confused.slice(0, LISTED_PAIRS),
  );
}
