/** Where each figure comes from. */
import { countOf, formatHuge, formatInteger } from '../format.js';
import { html } from '../html.js';
import type { Section } from './section.js';

export const appendixSection: Section = ({ data }) => {
  const { dataset, machine, space, accuracy, latency, generatedBy } = data;
  return Promise.resolve(
    html`<section aria-labelledby="measured">
      <h2 id="measured">How it was measured</h2>
      <ul>
        <li>
          <strong>Data</strong>: ${dataset.name}, ${formatInteger(dataset.train)} images to train on,
          ${formatInteger(dataset.validation)} for validation, ${formatInteger(dataset.test)} for the test.
          The three do not overlap. Validation images steered the run (training curves, accuracy predictor,
          search); test images judged the chosen models, once.
        </li>
        <li>
          <strong>Measured top-1</strong> of a chosen model is that of the network as exported, on the test
          split; ± is its standard error, as so many images leave it. Shared batch-norm statistics fit no
          subnet, so each subnet's are computed anew on training images before it is evaluated.
        </li>
        <li>
          <strong>Predicted top-1</strong> is the accuracy predictor's
          answer${accuracy && html`; its errors are those on ${countOf(accuracy.heldOut, 'subnet')} left out of the fit`}.
        </li>
        <li>
          <strong>Measured latency</strong> is the median time of one image through the exported file on the
          device itself, after warming up, in several rounds.
        </li>
        <li>
          <strong>Predicted latency</strong> comes from the device's table of measured
          blocks${latency.map(
            ({ device, heldOut }) =>
              html`; for ${device} it was checked on ${countOf(heldOut, 'whole subnet')} measured apart from
              the table`,
          )}.
        </li>
        <li>
          <strong>Kendall tau</strong> tells how often two subnets are put in the right order: 1 always, 0
          half of the time.
        </li>
        <li>
          <strong>Search space</strong>: ${space.name}, ${formatHuge(space.subnets)} distinct subnets, image
          sizes included.
        </li>
        <li>
          <strong>Machine</strong>: ${machine.cpu}, ${countOf(machine.cores, 'core')}, ${machine.os};
          ${machine.node}; ${machine.runtime}.
        </li>
        <li><strong>Command</strong>: <code>${generatedBy.command}</code></li>
      </ul>
    </section>`,
  );
};
