/** Title, the result in one sentence, and the facts to judge it by. */
import type { ReportData } from '../data.js';
import {
  capitalise,
  countOf,
  formatHuge,
  formatInteger,
  formatMs,
  formatPercent,
  formatRange,
  formatTop1,
} from '../format.js';
import { html, type Html } from '../html.js';

/** `Three models for local-cpu, 0.21 to 0.54 ms, 97.1 to 98.6 % top-1 on test images`. */
export function headline({ models, subnets, sampled, space, origin }: ReportData): string {
  if (models.length > 0) {
    const devices = [...new Set(models.map(({ device }) => device))];
    const target = devices.length <= 2 ? devices.join(' and ') : countOf(devices.length, 'device');
    const latency = formatRange(
      models.map(({ measuredMs }) => measuredMs),
      (ms) => formatMs(ms, 2),
    );
    const top1 = formatRange(
      models.map(({ measuredTop1 }) => measuredTop1),
      (fraction) => formatTop1(fraction, 1),
    );
    return `${capitalise(countOf(models.length, 'model'))} for ${target}, ${latency}, ${top1} top-1 on test images`;
  }
  if (subnets.length > 0) {
    const top1 = formatRange(
      subnets.map((subnet) => subnet.top1),
      (fraction) => formatTop1(fraction, 1),
    );
    return `${capitalise(countOf(subnets.length, 'subnet'))} of ${space.name}, ${top1} top-1 on validation images; no model chosen yet`;
  }
  if (sampled !== undefined) {
    const top1 = formatRange([sampled.lowestTop1, sampled.highestTop1], (fraction) =>
      formatTop1(fraction, 1),
    );
    return `${capitalise(countOf(sampled.count, 'subnet'))} of ${space.name}, ${top1} top-1 (${sampled.split}); no model chosen yet`;
  }
  if (origin?.kind === 'finetuned') return `One network of ${space.name}, trained on by itself`;
  return `${origin?.kind === 'imported' ? 'An imported supernet' : 'A supernet'} of ${space.name}; no model chosen yet`;
}

/** What the weights are, in a sentence. */
function describeOrigin({ origin, space, dataset }: ReportData): string {
  const on = dataset.name === 'unknown' ? '' : ` on ${dataset.name}`;
  const shared =
    'its subnets share all weights, so a network for a device is found by searching, without training again.';
  switch (origin?.kind) {
    case 'imported':
      return `The weights of a supernet of the search space ${space.name} were imported${origin.from === undefined ? '' : ` from ${origin.from}`}; ${shared}`;
    case 'finetuned':
      return `One network, cut out of a supernet of ${space.name}, was trained on by itself${on}.`;
    case 'unknown':
      return `A supernet of the search space ${space.name}; how it was trained is not known; ${shared}`;
    default:
      return `One supernet of the search space ${space.name} was trained${on}; ${shared}`;
  }
}

export function header(data: ReportData): Html {
  const { title, space, dataset, machine, accuracy, latency, models } = data;
  const missed = models.filter(({ meetsLimit }) => !meetsLimit).length;
  return html`<header>
    <p class="kicker">${title}</p>
    <h1>${headline(data)}</h1>
    <p>
      ${
        models.length > 0 &&
        `${missed === 0 ? 'Every chosen model meets its latency limit when measured.' : `${capitalise(countOf(missed, 'model'))} ${missed === 1 ? 'exceeds its' : 'exceed their'} latency limit when measured: see the table of chosen models.`} `
      }${describeOrigin(data)}
    </p>
    <dl class="facts">
      ${fact('Subnets in the space', formatHuge(space.subnets), imageSizes(space.imageSizes))}
      ${fact('Data set', dataset.name, describeDataset(data))}
      ${
        data.sampled &&
        fact(
          'Sampled accuracies',
          countOf(data.sampled.count, 'subnet'),
          `${formatRange([data.sampled.lowestTop1, data.sampled.highestTop1], (fraction) => formatTop1(fraction, 1))} top-1 on ${countOf(data.sampled.images, `${data.sampled.split} image`)}`,
        )
      }
      ${(data.tables ?? []).map(({ device, blocks }) =>
        fact('Latency table', device, blocks === 0 ? 'of whole networks' : countOf(blocks, 'block')),
      )}
      ${
        accuracy &&
        fact(
          'Accuracy predictor',
          `±${accuracy.rmsePoints.toFixed(2)} points`,
          `root mean square error of validation top-1, on ${countOf(accuracy.heldOut, 'held-out subnet')}`,
        )
      }
      ${latency.map(({ device, mape, heldOut }) =>
        fact(
          `Latency predictor, ${device}`,
          `±${formatPercent(mape)}`,
          `mean error on ${countOf(heldOut, 'held-out subnet')}`,
        ),
      )}
      ${fact('Machine', machine.cpu, `${countOf(machine.cores, 'core')}, ${machine.runtime}`)}
    </dl>
  </header>`;
}

function describeDataset({ dataset, space }: ReportData): string {
  const classes = countOf(space.classes, 'class', 'classes');
  const { train, validation, test } = dataset;
  if (train + validation + test === 0) return classes;
  return `${classes}; ${formatInteger(train)} training, ${formatInteger(validation)} validation, ${formatInteger(test)} test images`;
}

function imageSizes(sizes: readonly number[]): string {
  return sizes.length === 0 ? 'image sizes not recorded' : `image sizes ${sizes.join(', ')}`;
}

function fact(name: string, value: string, note: string): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}<small>${note}</small></dd>
  </div>`;
}
