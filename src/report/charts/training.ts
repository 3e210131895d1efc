/** Curves of a training run, with the beginnings of its phases. */
import type { ReportTraining } from '../data.js';
import { axisRange } from '../axis.js';
import { colors, grid, legend, palette, type Chart } from '../chart.js';
import { formatInteger, formatTop1 } from '../format.js';
import { valueAxis } from './valueAxis.js';

type Point = [number, number];

/** Means over runs of neighbours, at most `most` of them: a line with more points than pixels is only slower to open. */
export function averaged(points: readonly Point[], most = 600): Point[] {
  const size = Math.ceil(points.length / most);
  const result: Point[] = [];
  for (let start = 0; start < points.length; start += size) {
    const group = points.slice(start, start + size);
    const mean = (axis: 0 | 1): number => group.reduce((sum, point) => sum + point[axis], 0) / group.length;
    result.push([mean(0), mean(1)]);
  }
  return result;
}

/** Beginnings of phases that are closer than this share of the picture get one label: two would cover each other. */
const LABEL_SHARE = 0.08;

/** A mark at the beginning of every phase, labelled by its number, as in `2` or, where several begin together, `2-4`. */
export function phaseMarks(
  phases: ReportTraining['phases'],
  end: number,
): { readonly label: string; readonly startStep: number }[] {
  const groups: { first: number; last: number; startStep: number }[] = [];
  phases.forEach(({ startStep }, i) => {
    const group = groups.at(-1);
    if (group !== undefined && startStep - group.startStep < LABEL_SHARE * end) group.last = i + 1;
    else groups.push({ first: i + 1, last: i + 1, startStep });
  });
  return phases.map(({ startStep }, i) => {
    const group = groups.find(({ first }) => first === i + 1);
    if (group === undefined) return { label: '', startStep };
    return { label: group.last > group.first ? `${group.first}-${group.last}` : `${group.first}`, startStep };
  });
}

interface Curve {
  readonly name: string;
  readonly points: readonly Point[];
}

function curves(
  training: ReportTraining,
  lines: readonly Curve[],
  picture: Pick<Chart, 'label'> & {
    y: string;
    factor: number;
    ceiling: number;
    format: (value: number) => string;
  },
): Chart | undefined {
  const all = lines.flatMap(({ points }) => points);
  if (all.length === 0) return undefined;
  const steps = [...all.map(([x]) => x), ...training.phases.map(({ startStep }) => startStep)];
  const x = axisRange(steps, { floor: 0, steps: 8 });
  const end = steps.reduce((most, step) => Math.max(most, step), 1);
  const phases = {
    silent: true,
    symbol: 'none',
    lineStyle: { color: colors.muted, type: 'dotted' as const, width: 1 },
    // Above the curves; names would cover each other, so that the table of phases has them.
    label: { position: 'end' as const, distance: 2, color: colors.muted, fontSize: 12 },
    data: phaseMarks(training.phases, end).map(({ label, startStep }) => ({
      xAxis: startStep,
      label: { formatter: label },
    })),
  };
  return {
    label: picture.label,
    height: 360,
    tooltip: (series, index) => {
      const point = lines[series]?.points[index];
      return point && `${lines[series]!.name}, step ${formatInteger(point[0])}: ${picture.format(point[1])}`;
    },
    option: {
      grid: { ...grid, top: lines.length > 1 ? 56 : 24 },
      ...(lines.length > 1 ? { legend: legend(lines.map(({ name }) => name)) } : {}),
      xAxis: {
        ...valueAxis('Training step', x, 34),
        // Steps end where training does, not at the next round number.
        max: end,
        splitLine: { show: false },
      },
      yAxis: valueAxis(
        picture.y,
        axisRange(
          all.map(([, y]) => y),
          { floor: 0, ceiling: picture.ceiling },
        ),
        46,
        picture.factor,
      ),
      series: lines.map(({ name, points }, i) => ({
        name,
        type: 'line' as const,
        data: [...points],
        showSymbol: points.length < 60,
        symbol: 'circle',
        symbolSize: 5,
        lineStyle: { color: palette[i % palette.length]!, width: 1.75 },
        itemStyle: { color: palette[i % palette.length]! },
        emphasis: { disabled: true },
        ...(i === 0 ? { markLine: phases } : {}),
      })),
    },
  };
}

export function lossChart(training: ReportTraining): Chart | undefined {
  const points = averaged(training.loss.map(({ step, loss }): Point => [step, loss]));
  return curves(training, [{ name: 'Loss', points }], {
    label: `Training loss over ${training.loss.length} recorded steps`,
    y: 'Training loss',
    factor: 1,
    ceiling: Infinity,
    format: (value) => value.toPrecision(4),
  });
}

export function validationChart(training: ReportTraining): Chart | undefined {
  const names = [...new Set(training.validation.map(({ subnet }) => subnet))];
  const lines = names.map((name) => ({
    name,
    points: training.validation
      .filter(({ subnet }) => subnet === name)
      .map(({ step, top1 }): Point => [step, top1]),
  }));
  return curves(training, lines, {
    label: `Validation top-1 of ${names.length} subnets during training`,
    y: 'Validation top-1 (%)',
    factor: 100,
    ceiling: 1,
    format: (value) => formatTop1(value),
  });
}
