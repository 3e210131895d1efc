/** What sections are made with. */
import { renderChart, type Chart } from '../chart.js';
import type { ReportData } from '../data.js';
import type { Html } from '../html.js';

export interface SectionContext {
  readonly data: ReportData;
  /** Draws a chart under an id of its own. */
  readonly draw: (chart: Chart) => Promise<Html>;
}

/** Undefined where the data has nothing for it. */
export type Section = (context: SectionContext) => Promise<Html | undefined>;

export function createContext(data: ReportData): SectionContext {
  let charts = 0;
  return { data, draw: (chart) => renderChart(chart, `chart${++charts}`) };
}
