/** The report of a run: one HTML file that needs no network, no script and no other file. */
import { dirname, join } from 'node:path';
import { validate, writeAtomic, writeJson } from '../util/files.js';
import { REPORT_FORMAT, reportDataSchema, type ReportData } from './data.js';
import { Html, html } from './html.js';
import { accuracySection } from './sections/accuracy.js';
import { appendixSection } from './sections/appendix.js';
import { classesSection } from './sections/classes.js';
import { devicesSection } from './sections/devices.js';
import { header, headline } from './sections/header.js';
import { latencySection } from './sections/latency.js';
import { modelsSection } from './sections/models.js';
import { createContext, type Section } from './sections/section.js';
import { tradeoffSection } from './sections/tradeoff.js';
import { trainingSection } from './sections/training.js';
import { style } from './style.js';

export const REPORT_DATA_FILE = 'report.json';

/** In the order of the page. */
const sections: readonly Section[] = [
  tradeoffSection,
  modelsSection,
  classesSection,
  devicesSection,
  latencySection,
  accuracySection,
  trainingSection,
  appendixSection,
];

/** Nothing is loaded or run, whatever the data holds: the page's own policy forbids it. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** The whole page. The same data gives the same text. Throws UserError for data that is no report. */
export async function renderReport(input: ReportData): Promise<string> {
  const data = validate(input, reportDataSchema, 'the data of the report');
  const context = createContext(data);
  const body: Html[] = [];
  for (const section of sections) {
    const content = await section(context);
    if (content !== undefined) body.push(content);
  }
  const { version, date } = data.generatedBy;
  const page = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="generator" content="ofakit ${version}" />
      <meta name="description" content="${headline(data)}" />
      <title>${data.title}</title>
      <style>
        ${new Html(style)}
      </style>
    </head>
    <body>
      ${header(data)}
      <main>${body}</main>
      <footer>
        Made by ofakit ${version}${date && `, ${date}`}. The data of this page is in ${REPORT_DATA_FILE}
        beside it;
        <code>ofa report RUN</code> makes the page again from it.
      </footer>
    </body>
  </html>`;
  return `<!doctype html>\n${page.text.replace(/\n\s+/g, '\n')}\n`;
}

/** Writes the page, and report.json beside it. Each file is whole or not there. Throws UserError. */
export async function writeReport(path: string, data: ReportData): Promise<void> {
  const page = await renderReport(data);
  await writeJson(join(dirname(path), REPORT_DATA_FILE), { format: REPORT_FORMAT, ...data });
  await writeAtomic(path, page);
}
