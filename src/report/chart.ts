/** Pictures by Apache ECharts, as inline SVG that needs no script. */
import type { BarSeriesOption, LineSeriesOption, ScatterSeriesOption } from 'echarts/charts';
import type { GridComponentOption, LegendComponentOption, MarkLineComponentOption } from 'echarts/components';
import type * as Echarts from 'echarts/core';
import { Html, cleanText, escapeHtml } from './html.js';

export type ChartOption = Echarts.ComposeOption<
  | BarSeriesOption
  | LineSeriesOption
  | ScatterSeriesOption
  | GridComponentOption
  | LegendComponentOption
  | MarkLineComponentOption
>;

/** Colours follow the page (light or dark); the second value is for viewers that know no variables. */
export const colors = {
  ink: 'var(--ink,#1d2330)',
  muted: 'var(--muted,#5d6675)',
  rule: 'var(--rule,#dfe3ea)',
  cloud: 'var(--cloud,#8a97ab)',
  blue: 'var(--blue,#1f6fb4)',
  orange: 'var(--orange,#c8500a)',
  green: 'var(--green,#1b7f5c)',
  paper: 'var(--paper,#ffffff)',
};
export const palette = [
  colors.blue,
  colors.orange,
  colors.green,
  'var(--purple,#7a4fb5)',
  'var(--brown,#8a6212)',
  colors.muted,
];

const FONT = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif';

export interface Chart {
  readonly option: ChartOption;
  /** What the picture shows, for those who do not see it. */
  readonly label: string;
  readonly width?: number;
  readonly height?: number;
  /** What hovering over a data point tells. */
  readonly tooltip?: (series: number, index: number) => string | undefined;
}

/** Loaded when the first picture is drawn, and only what the pictures use. */
async function loadEcharts(): Promise<typeof Echarts> {
  const [core, charts, components, features, renderers] = await Promise.all([
    import('echarts/core'),
    import('echarts/charts'),
    import('echarts/components'),
    import('echarts/features'),
    import('echarts/renderers'),
  ]);
  core.use([
    charts.BarChart,
    charts.LineChart,
    charts.ScatterChart,
    components.GridComponent,
    components.LegendComponent,
    components.MarkLineComponent,
    features.LabelLayout,
    renderers.SVGRenderer,
  ]);
  return core;
}

/** `id`: unique in the document; the same data gives the same text. */
export async function renderChart(chart: Chart, id: string): Promise<Html> {
  const echarts = await loadEcharts();
  const { width = 860, height = 440 } = chart;
  const instance = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  let svg: string;
  try {
    instance.setOption({
      animation: false,
      textStyle: { fontFamily: FONT, fontSize: 13, color: colors.ink },
      ...chart.option,
    });
    svg = instance.renderToSVGString();
  } finally {
    // Its animation loop would keep the process alive.
    instance.dispose();
  }
  return new Html(dress(svg, chart, id));
}

/** Tooltips and a label in; ids that count instances, hover styles and markers for scripts out. */
function dress(svg: string, { label, tooltip, width = 860, height = 440 }: Chart, id: string): string {
  return cleanText(svg)
    .replace(/<style[^>]*>[\s\S]*?<\/style>/g, '')
    .replace(/ class="zr\d+-cls-\d+"/g, '')
    .replace(/(id="|url\(#)zr\d+-/g, `$1${id}-`)
    .replace(
      /<(\w+)([^<>]*) ecmeta_series_index="(\d+)" ecmeta_data_index="(\d+)" ecmeta_ssr_type="chart"([^<>]*)><\/\1>/g,
      (_, name: string, before: string, series: string, index: string, after: string) => {
        const text = tooltip?.(Number(series), Number(index));
        const title = text === undefined ? '' : `<title>${escapeHtml(text)}</title>`;
        return `<${name}${before}${after}>${title}</${name}>`;
      },
    )
    .replace(/ ecmeta_\w+="[^"]*"/g, '')
    .replace(
      /^<svg[^>]*>/,
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(label)}">`,
    );
}

/** Width of a picture on a phone: text keeps its size. */
const NARROW = 360;

/** The same picture for narrow screens, its legend in as many lines as it takes. */
export function narrowed(chart: Chart): Chart {
  const { option } = chart;
  const own = option.legend as LegendComponentOption | undefined;
  const names = (own?.data ?? []).map((entry) => (typeof entry === 'string' ? entry : (entry.name ?? '')));
  // An entry is as wide as its icon, its text and the gaps around them.
  let lines = names.length === 0 ? 0 : 1;
  let filled = 0;
  for (const name of names) {
    const width = 45 + 7 * name.length;
    if (filled > 0 && filled + width > NARROW - 16) [lines, filled] = [lines + 1, 0];
    filled += width;
  }
  const axis = (given: unknown): object => ({
    ...(given as object),
    axisLabel: { ...(given as { axisLabel?: object }).axisLabel, hideOverlap: true },
    nameTextStyle: { color: colors.muted, fontSize: 13, width: NARROW - 110, overflow: 'truncate' },
  });
  // Phones have nothing to hover with.
  const { tooltip: _tooltip, ...rest } = chart;
  return {
    ...rest,
    width: NARROW,
    height: (chart.height ?? 440) - 80 + 24 * Math.max(0, lines - 1),
    option: {
      ...option,
      ...(own && { legend: { ...own, left: 8, width: NARROW - 16 } }),
      grid: { ...grid, ...(option.grid as object), left: 58, right: 14, top: 32 + 24 * lines },
      xAxis: axis(option.xAxis),
      yAxis: axis(option.yAxis),
    },
  };
}

interface AxisLook {
  readonly name: string;
  readonly nameGap: number;
}

/** Look that all axes share. */
export function axisStyle({ name, nameGap }: AxisLook) {
  return {
    name,
    nameGap,
    nameLocation: 'middle' as const,
    nameTextStyle: { color: colors.muted, fontSize: 13 },
    axisLabel: { color: colors.muted, fontSize: 12 },
    axisLine: { show: true, lineStyle: { color: colors.rule } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: colors.rule } },
  };
}

export const grid = { left: 64, right: 28, top: 48, bottom: 56 };

export function legend(names: readonly (string | { name: string; icon: string })[]): LegendComponentOption {
  return {
    data: [...names],
    top: 4,
    left: 56,
    itemGap: 20,
    itemWidth: 18,
    itemHeight: 10,
    textStyle: { color: colors.ink, fontSize: 13 },
  };
}
