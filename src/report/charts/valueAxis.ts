/** Value axes with our own round ends. */
import type { AxisRange } from '../axis.js';
import { axisStyle } from '../chart.js';

/** `factor`: what labels multiply values with (100 for percent of fractions). */
export function valueAxis(name: string, range: AxisRange, nameGap: number, factor = 1, unit = '') {
  const style = axisStyle({ name, nameGap });
  const decimals = Math.max(0, range.decimals - Math.round(Math.log10(factor)));
  return {
    ...style,
    type: 'value' as const,
    min: range.min,
    max: range.max,
    interval: range.interval,
    axisLabel: {
      ...style.axisLabel,
      formatter: (value: number) => `${(factor * value).toFixed(decimals)}${unit}`,
    },
  };
}
