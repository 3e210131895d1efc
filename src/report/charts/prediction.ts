/** Predicted against measured, with the line of perfect prediction and a band around it. */
import { axisRange, thin } from '../axis.js';
import { colors, grid, legend, type Chart } from '../chart.js';
import { MOST_POINTS } from './tradeoff.js';
import { valueAxis } from './valueAxis.js';

export interface Prediction {
  readonly predicted: number;
  readonly measured: number;
}

export interface PredictionPicture {
  readonly label: string;
  /** Of the axes, after "Measured" and "Predicted". */
  readonly quantity: string;
  readonly points: readonly Prediction[];
  readonly band: { readonly name: string; readonly around: (measured: number) => readonly [number, number] };
  /** What axes multiply values with: 100 for percent of fractions. */
  readonly factor: number;
  readonly format: (value: number) => string;
}

export function predictionChart({ label, quantity, points, band, factor, format }: PredictionPicture): Chart {
  const shown = thin(points, MOST_POINTS);
  // Both axes alike, so that the diagonal is one.
  const range = axisRange(
    shown.flatMap(({ predicted, measured }) => [predicted, measured]),
    { floor: 0 },
  );
  const ends = [range.min, range.max];
  const quiet = { type: 'line' as const, symbol: 'none', silent: true, emphasis: { disabled: true } };
  const scatter = 2;
  return {
    label,
    width: 560,
    height: 500,
    tooltip: (series, index) => {
      const point = series >= scatter ? shown[index] : undefined;
      return point && `Measured ${format(point.measured)}, predicted ${format(point.predicted)}`;
    },
    option: {
      grid: { ...grid, left: 72 },
      legend: legend(['Held-out subnets', 'Perfect', { name: band.name, icon: 'rect' }]),
      xAxis: valueAxis(`Measured ${quantity}`, range, 34, factor),
      yAxis: valueAxis(`Predicted ${quantity}`, range, 52, factor),
      series: [
        // The band: an invisible line at its lower edge, and its height stacked upon it.
        {
          ...quiet,
          name: 'lower edge',
          stack: 'band',
          stackStrategy: 'all',
          lineStyle: { opacity: 0 },
          data: ends.map((x) => [x, band.around(x)[0]]),
        },
        {
          ...quiet,
          name: band.name,
          stack: 'band',
          stackStrategy: 'all',
          lineStyle: { opacity: 0 },
          itemStyle: { color: colors.green, opacity: 0.3 },
          areaStyle: { color: colors.green, opacity: 0.16 },
          data: ends.map((x) => [x, band.around(x)[1] - band.around(x)[0]]),
        },
        {
          name: 'Held-out subnets',
          type: 'scatter',
          symbolSize: 7,
          z: 4,
          itemStyle: { color: colors.blue, opacity: 0.65 },
          emphasis: { disabled: true },
          data: shown.map(({ predicted, measured }) => [measured, predicted]),
        },
        {
          ...quiet,
          name: 'Perfect',
          lineStyle: { color: colors.muted, width: 1.5, type: 'dashed' },
          itemStyle: { color: colors.muted },
          data: ends.map((x) => [x, x]),
        },
      ],
    },
  };
}
