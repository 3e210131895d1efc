import { describe, expect, it } from 'vitest';
import { renderChart } from '../../src/report/chart.js';
import { frontChart, type FrontPicture } from '../../src/report/charts/front.js';
import { elementNames } from './xml.js';

const accuracy = { name: 'accuracy', unit: '', direction: 'maximize' as const };
const latency = { name: 'latencyMs.pi', unit: 'ms', direction: 'minimize' as const };
const macs = { name: 'macs', unit: 'MACs', direction: 'minimize' as const };

const draw = async (picture: FrontPicture): Promise<string> =>
  (await renderChart(frontChart(picture), 'front')).text;

describe('frontChart', () => {
  const points = Array.from({ length: 12 }, (_, i) => [0.6 + 0.02 * i, 10 + i * i, 1e6 * (5 + i)]);

  it('shows every network in every panel, and the picked one', async () => {
    const svg = await draw({
      title: 'Front',
      objectives: [accuracy, latency, macs],
      points,
      picked: { label: 'Picked: knee', index: 3 },
    });
    expect(elementNames(svg)).toContain('path');
    expect(svg.match(/<title>/g)).toHaveLength(2 * points.length);
    for (const text of [
      'Predicted top-1 accuracy (%), higher is better',
      'Predicted latency on pi (ms), lower is better',
      'macs (millions of MACs), lower is better',
      'Picked: knee',
    ])
      expect(svg).toContain(text);
    expect(svg).toContain('viewBox="0 0 860 880"');
  });

  it.each([
    ['one network', [[0.9, 3]]],
    [
      'negative values',
      [
        [-2, -3],
        [-1, -2.5],
      ],
    ],
    [
      'a straight line',
      [
        [0.5, 3],
        [0.5, 3],
      ],
    ],
  ])('draws %s', async (_, few) => {
    const svg = await draw({ title: 'a < b & "c"', objectives: [accuracy, latency], points: few });
    expect(elementNames(svg).length).toBeGreaterThan(5);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});
