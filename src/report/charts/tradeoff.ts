/** The main picture: accuracy against latency on one device. */
import { axisRange, thin } from '../axis.js';
import { colors, grid, legend, type Chart } from '../chart.js';
import type { ReportData } from '../data.js';
import { formatLimit, formatMs, formatTop1 } from '../format.js';
import { valueAxis } from './valueAxis.js';

/** A picture that holds more points is slow to open and no clearer. */
export const MOST_POINTS = 2000;

const pair = ({ latencyMs, top1 }: { latencyMs: number; top1: number }): [number, number] => [
  latencyMs,
  top1,
];
const tell = (what: string, latencyMs: number, top1: number): string =>
  `${what}: ${formatMs(latencyMs)}, ${formatTop1(top1)} top-1`;

/** Undefined where nothing is known of the device. */
export function tradeoffChart(data: ReportData, device: string): Chart | undefined {
  const of = <T extends { device: string }>(list: readonly T[]): T[] =>
    list.filter((item) => item.device === device);
  const subnets = of(data.subnets);
  const clouds = (['measured', 'predicted'] as const).map((kind) => ({
    name: `${kind === 'measured' ? 'Measured' : 'Predicted'} subnets`,
    points: thin(
      subnets.filter((subnet) => subnet.kind === kind),
      MOST_POINTS,
    ).map(pair),
    hollow: kind === 'predicted',
  }));
  const front = of(data.front)
    .map(pair)
    .sort(([a], [b]) => a - b);
  const models = of(data.models).sort((a, b) => a.maxLatencyMs - b.maxLatencyMs);
  const chosen = models.map(({ measuredMs, measuredTop1, validationTop1 }): [number, number] => [
    measuredMs,
    validationTop1 ?? measuredTop1,
  ]);
  const points = [...clouds.flatMap((cloud) => cloud.points), ...front, ...chosen];
  if (points.length === 0) return undefined;

  const series = [
    ...clouds.map(({ name, points, hollow }) => ({
      name,
      type: 'scatter' as const,
      data: points,
      symbolSize: hollow ? 6 : 7,
      itemStyle: hollow
        ? { color: 'none', borderColor: colors.cloud, borderWidth: 1, opacity: 0.8 }
        : { color: colors.cloud, opacity: 0.55 },
      tell: (index: number) => tell(hollow ? 'Predicted' : 'Measured', ...points[index]!),
    })),
    {
      name: 'Pareto front (predicted)',
      type: 'line' as const,
      data: front,
      symbol: 'circle',
      symbolSize: 5,
      showAllSymbol: true as const,
      lineStyle: { color: colors.blue, width: 2 },
      itemStyle: { color: colors.blue },
      tell: (index: number) => tell('Pareto front, predicted', ...front[index]!),
    },
    {
      name: 'Chosen models (measured)',
      type: 'scatter' as const,
      data: chosen,
      symbol: 'diamond',
      symbolSize: 15,
      z: 5,
      itemStyle: { color: colors.orange, borderColor: colors.paper, borderWidth: 1.5, opacity: 1 },
      label: {
        show: true,
        position: 'bottom' as const,
        distance: 8,
        color: colors.ink,
        fontWeight: 600,
        textBorderColor: colors.paper,
        textBorderWidth: 4,
        formatter: ({ dataIndex }: { dataIndex: number }) =>
          `≤ ${formatLimit(models[dataIndex]!.maxLatencyMs)}`,
      },
      labelLayout: { moveOverlap: 'shiftY' as const },
      tell: (index: number) =>
        tell(`Chosen for at most ${formatLimit(models[index]!.maxLatencyMs)}, measured`, ...chosen[index]!),
    },
  ].filter(({ data }) => data.length > 0);
  return {
    label: `Accuracy against latency on ${device}: ${subnets.length} subnets, ${front.length} on the Pareto front, ${models.length} chosen models; faster is left, more accurate is up`,
    height: 500,
    tooltip: (index, point) => series[index]?.tell(point),
    option: {
      grid,
      legend: legend(series.map(({ name }) => name)),
      xAxis: valueAxis(
        `Latency on ${device} (ms), lower is better`,
        axisRange(
          points.map(([x]) => x),
          { floor: 0, steps: 8 },
        ),
        34,
      ),
      yAxis: valueAxis(
        'Top-1 accuracy (%), higher is better',
        axisRange(
          points.map(([, y]) => y),
          { floor: 0, ceiling: 1 },
        ),
        46,
        100,
      ),
      series: series.map(({ tell: _tell, ...rest }) => ({ ...rest, emphasis: { disabled: true } })),
    },
  };
}
