/** What sections are made with. */
import { narrowed, renderChart, type Chart } from '../chart.js';
import type { ReportData } from '../data.js';
import { html, type Html } from '../html.js';

export interface SectionContext {
  readonly data: ReportData;
  /** Draws a chart, for wide and for narrow screens, under an id of its own. */
  readonly draw: (chart: Chart) => Promise<Html>;
}

/** Undefined where the data has nothing for it. */
export type Section = (context: SectionContext) => Promise<Html | undefined>;

export function createContext(data: ReportData): SectionContext {
  let charts = 0;
  return {
    data,
    draw: async (chart) => {
      const id = `chart${++charts}`;
      const [wide, narrow] = await Promise.all([
        renderChart(chart, id),
        renderChart(narrowed(chart), `${id}-narrow`),
      ]);
      return html`<div class="wide">${wide}</div>
        <div class="narrow">${narrow}</div>`;
    },
  };
}
