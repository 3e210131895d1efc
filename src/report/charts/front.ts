/** A Pareto front: the first objective against each of the others. */
import { axisRange, thin } from '../axis.js';
import { colors, grid, legend, type Chart } from '../chart.js';
import { MOST_POINTS } from './tradeoff.js';
import { valueAxis } from './valueAxis.js';

export interface FrontObjective {
  readonly name: string;
  readonly unit: string;
  readonly direction: 'minimize' | 'maximize';
}

export interface FrontPicture {
  readonly title: string;
  /** Two or more. */
  readonly objectives: readonly FrontObjective[];
  /** One value an objective. */
  readonly points: readonly (readonly number[])[];
  readonly picked?: { readonly label: string; readonly index: number };
}

/** An objective as an axis shows it: `factor` multiplies values. */
interface Shown {
  readonly label: string;
  readonly factor: number;
}

function shown({ name, unit, direction }: FrontObjective, values: readonly number[]): Shown {
  const better = direction === 'minimize' ? 'lower is better' : 'higher is better';
  if (name === 'accuracy') return { label: `Predicted top-1 accuracy (%), ${better}`, factor: 100 };
  const [what, device] = name.split('.');
  const words =
    what === 'latencyMs' ? `Predicted latency${device === undefined ? '' : ` on ${name.slice(10)}`}` : name;
  const most = values.reduce((high, value) => Math.max(high, Math.abs(value)), 0);
  const [count, factor] =
    most >= 1e9 ? (['billions', 1e-9] as const) : most >= 1e6 ? (['millions', 1e-6] as const) : ['', 1];
  const inside = [count, unit].filter((word) => word !== '').join(' of ');
  return { label: `${words}${inside === '' ? '' : ` (${inside})`}, ${better}`, factor };
}

const PANEL_HEIGHT = 440;

/** A panel for every objective but the first, one below the other. */
export function frontChart({ title, objectives, points, picked }: FrontPicture): Chart {
  const axes = objectives.map((objective, i) =>
    shown(
      objective,
      points.map((point) => point[i]!),
    ),
  );
  const scaled = points.map((point) => point.map((value, i) => value * axes[i]!.factor));
  const drawn = thin(scaled, MOST_POINTS);
  const column = (i: number): number[] => scaled.map((point) => point[i]!);
  const others = objectives.slice(1).map((_, i) => i + 1);
  const name = `Pareto front (${points.length} networks)`;
  const best = picked && { name: picked.label, point: scaled[picked.index]! };
  const pairs = (x: number): [number, number][] =>
    drawn.map((point): [number, number] => [point[x]!, point[0]!]).sort(([a], [b]) => a - b);
  const lists = others.map(pairs);
  const quiet = { emphasis: { disabled: true } };
  const series = others.flatMap((x, panel) => [
    {
      ...quiet,
      name,
      type: 'line' as const,
      xAxisIndex: panel,
      yAxisIndex: panel,
      data: lists[panel]!,
      symbol: 'circle',
      symbolSize: 5,
      showAllSymbol: true as const,
      // Beside two other objectives a front is no line.
      lineStyle: { color: colors.blue, width: objectives.length === 2 ? 2 : 0 },
      itemStyle: { color: colors.blue },
    },
    ...(best === undefined
      ? []
      : [
          {
            ...quiet,
            name: best.name,
            type: 'scatter' as const,
            xAxisIndex: panel,
            yAxisIndex: panel,
            data: [[best.point[x]!, best.point[0]!]],
            symbol: 'diamond',
            symbolSize: 15,
            z: 5,
            itemStyle: { color: colors.orange, borderColor: colors.paper, borderWidth: 1.5, opacity: 1 },
          },
        ]),
  ]);
  const perPanel = best === undefined ? 1 : 2;
  const tell = (panel: number, [x, y]: readonly [number, number]): string =>
    `${axes[0]!.label.split(',')[0]!}: ${y.toPrecision(5)}; ${axes[others[panel]!]!.label.split(',')[0]!}: ${x.toPrecision(5)}`;
  const range = (i: number) =>
    axisRange(column(i), {
      ...(column(i).every((value) => value >= 0) && { floor: 0 }),
      ...(objectives[i]!.name === 'accuracy' && { ceiling: 100 }),
    });
  return {
    label: `${title}: ${points.length} networks, ${axes[0]!.label}, against ${others.map((i) => axes[i]!.label).join(' and ')}`,
    height: PANEL_HEIGHT * others.length,
    tooltip: (index, point) => {
      const panel = Math.floor(index / perPanel);
      const pair = index % perPanel === 0 ? lists[panel]?.[point] : undefined;
      return pair && tell(panel, pair);
    },
    option: {
      backgroundColor: colors.paper,
      grid: others.map((_, panel) => ({
        left: grid.left + 12,
        right: grid.right,
        top: grid.top + panel * PANEL_HEIGHT,
        height: PANEL_HEIGHT - grid.top - grid.bottom,
      })),
      legend: legend([name, ...(best === undefined ? [] : [best.name])]),
      xAxis: others.map((x, panel) => ({ ...valueAxis(axes[x]!.label, range(x), 34), gridIndex: panel })),
      yAxis: others.map((_, panel) => ({ ...valueAxis(axes[0]!.label, range(0), 58), gridIndex: panel })),
      series,
    },
  };
}
