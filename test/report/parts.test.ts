import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { architecturePicture, describeArchitecture, stagesOf } from '../../src/report/architecturePicture.js';
import { axisRange, histogram, roundStep, thin } from '../../src/report/axis.js';
import { averaged } from '../../src/report/charts/training.js';
import {
  countOf,
  formatCount,
  formatHuge,
  formatInteger,
  formatLimit,
  formatMs,
  formatRange,
  formatTau,
  formatTop1,
} from '../../src/report/format.js';
import { html } from '../../src/report/html.js';
import { elementNames } from './xml.js';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

describe('numbers', () => {
  it.each([
    [formatMs(0.21349), '0.213 ms'],
    [formatMs(12.345), '12.3 ms'],
    [formatMs(1234.5), '1235 ms'],
    [formatMs(0), '0 ms'],
    [formatLimit(0.3), '0.3 ms'],
    [formatLimit(5), '5 ms'],
    [formatTop1(0.971357), '97.14 %'],
    [formatTop1(1, 1), '100.0 %'],
    [formatCount(999), '999'],
    [formatCount(999_600), '1.00 M'],
    [formatCount(12_345_678), '12.3 M'],
    [formatCount(1.5e9), '1.50 G'],
    [formatInteger(1234), '1234'],
    [formatInteger(1234567), '1 234 567'],
    [formatHuge('21765391104729804300'), '2.18 × 10¹⁹'],
    [formatHuge('9999999999'), '1.00 × 10¹⁰'],
    [formatHuge('000123'), '123'],
    [formatHuge('many'), 'many'],
    [formatTau(null), 'not defined (all values equal)'],
    [formatRange([0.54, 0.21], formatMs), '0.210 to 0.540 ms'],
    [formatRange([0.97, 0.97], formatTop1), '97.00 %'],
    [countOf(1, 'model'), 'one model'],
    [countOf(3, 'model'), 'three models'],
    [countOf(40, 'model'), '40 models'],
  ])('%s', (text, expected) => expect(plain(text)).toBe(expected));
});

describe('axisRange', () => {
  it('covers all values with few round steps', () => {
    const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
        fc.pre(
          Math.max(...values) - Math.min(...values) === 0 || Math.max(...values) - Math.min(...values) > 1e-6,
        );
        const { min, max, interval } = axisRange(values);
        expect(min).toBeLessThanOrEqual(Math.min(...values));
        expect(max).toBeGreaterThanOrEqual(Math.max(...values));
        expect(min).toBeLessThan(max);
        expect((max - min) / interval).toBeLessThanOrEqual(8.01);
      }),
    );
  });

  it('stays within its bounds', () => {
    expect(axisRange([0.99, 1], { floor: 0, ceiling: 1 }).max).toBe(1);
    expect(axisRange([0.001, 5], { floor: 0 }).min).toBe(0);
    expect(axisRange([])).toMatchObject({ min: -0.2, max: 1.2 });
  });

  it.each([
    [0.9, 1],
    [1, 1],
    [1.1, 2],
    [23, 25],
    [0.03, 0.05],
    [60, 100],
  ])('a step of at least %d is %d', (value, step) => expect(roundStep(value)).toBeCloseTo(step, 12));
});

describe('histogram', () => {
  it('puts every value in the bin that holds it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), { minLength: 1, maxLength: 80 }),
        (values) => {
          const bins = histogram(values);
          expect(bins.length).toBeLessThanOrEqual(26);
          expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
          const [first, last] = [bins[0]!, bins[bins.length - 1]!];
          const slack = 1e-6 * (first.to - first.from) + 1e-9;
          expect(Math.min(...values)).toBeGreaterThanOrEqual(first.from - slack);
          expect(Math.max(...values)).toBeLessThan(last.to + slack);
        },
      ),
    );
    expect(histogram([])).toEqual([]);
    expect(histogram([1, 1.5, 2, 2, 3.5, 4, 5]).map(({ count }) => count)).toEqual([2, 2, 1, 1, 1]);
  });
});

describe('thinning', () => {
  it('keeps ends and order', () => {
    const items = Array.from({ length: 1000 }, (_, i) => i);
    const kept = thin(items, 7);
    expect(kept).toHaveLength(7);
    expect(kept[0]).toBe(0);
    expect(kept[6]).toBe(999);
    expect(thin(items, 1000)).toBe(items);
  });

  it('averages neighbours', () => {
    const points = [0, 1, 2, 3, 4].map((x): [number, number] => [x, 10 * x]);
    expect(averaged(points, 3)).toEqual([
      [0.5, 5],
      [2.5, 25],
      [4, 40],
    ]);
    expect(averaged([])).toEqual([]);
  });
});

describe('architecture pictures', () => {
  const architecture = { image_size: 32, ks: [3, 5, 7, 3], e: [3, 4, 6, 3], d: [1, 2] };

  it('shares entries equally between stages', () => {
    const active = stagesOf(architecture, undefined)!.map((stage) => stage.map((block) => block.active));
    expect(active).toEqual([
      [true, false],
      [true, true],
    ]);
  });

  it('follows the positions of the space where stages differ in length', () => {
    const blocks = [0, 1, 1, 1].map((stage, i) => ({ stage, position: Math.max(0, i - 1) }));
    const stages = stagesOf({ ...architecture, d: [1, 2] }, blocks)!;
    expect(stages.map((stage) => stage.filter(({ active }) => active).length)).toEqual([1, 2]);
    expect(stagesOf({ ...architecture, d: [1, 1, 1] }, undefined)).toBeUndefined();
    expect(stagesOf(architecture, [{ stage: 9, position: 0 }, ...blocks.slice(1)])).toBeUndefined();
  });

  it('adds depth to the blocks that are always there, and takes stage widths from the end', () => {
    const at = (stage: number, position: number) => ({ stage, position, base: 1 });
    const blocks = [at(1, 0), at(1, 1), at(2, 0), at(2, 1)];
    const resnet = { image_size: 32, ks: [], e: [0.5, 0.25, 0.5, 0.25], d: [0, 0, 1], w: [7, 8, 9, 6] };
    const active = stagesOf(resnet, blocks)!.map((stage) => stage.map((block) => block.active));
    expect(active).toEqual([[], [true, false], [true, true]]);
    expect(describeArchitecture(resnet, blocks)).toBe(
      'image 32; stage 1 (width 8): no optional blocks; stage 2 (width 9): expand 0.5; stage 3 (width 6): expand 0.5, expand 0.25',
    );
  });

  it('draws and describes blocks in use, also without kernels', () => {
    const picture = architecturePicture(architecture, undefined, 'A')!;
    expect(elementNames(picture.text).filter((name) => name === 'rect')).toHaveLength(4);
    expect(describeArchitecture(architecture, undefined)).toBe(
      'image 32; stage 1: 3×3 expand 3; stage 2: 7×7 expand 6, 3×3 expand 3',
    );
    expect(describeArchitecture({ ...architecture, ks: [], w: [0, 2] }, undefined)).toBe(
      'image 32; stage 1 (width 0): expand 3; stage 2 (width 2): expand 6, expand 3',
    );
  });
});

describe('html', () => {
  it('escapes all but markup, and leaves out what is not there', () => {
    const text = html`<p title="${'"<'}">${[html`<b>${'&'}</b>`, false, undefined, 3]}</p>`.text;
    expect(text).toBe('<p title="&quot;&lt;"><b>&amp;</b>3</p>');
  });
});
