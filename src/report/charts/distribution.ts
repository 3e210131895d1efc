/** How latencies spread over a search space. */
import type { Bin } from '../axis.js';
import { stepDecimals } from '../axis.js';
import { axisStyle, colors, type Chart } from '../chart.js';

/** `0.20–0.25`. */
export function binLabel({ from, to }: Bin): string {
  const decimals = stepDecimals(Number((to - from).toPrecision(6)));
  return `${from.toFixed(decimals)}–${to.toFixed(decimals)}`;
}

export function distributionChart(device: string, bins: readonly Bin[]): Chart {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const y = axisStyle({ name: 'Subnets', nameGap: 46 });
  return {
    label: `Histogram of the latencies of ${total} subnets on ${device}`,
    height: 320,
    tooltip: (_, index) => bins[index] && `${binLabel(bins[index])} ms: ${bins[index].count} subnets`,
    option: {
      grid: { left: 64, right: 28, top: 20, bottom: 56 },
      xAxis: {
        ...axisStyle({ name: `Latency on ${device} (ms)`, nameGap: 34 }),
        type: 'category',
        data: bins.map(binLabel),
      },
      yAxis: { ...y, type: 'value', minInterval: 1 },
      series: [
        {
          type: 'bar',
          barCategoryGap: '6%',
          itemStyle: { color: colors.blue },
          emphasis: { disabled: true },
          data: bins.map(({ count }) => count),
        },
      ],
    },
  };
}
