import { describe, expect, it } from 'vitest';
import { frontCsv, frontFileSchema, type FrontFile } from '../../src/search/front.js';

const architecture = { image_size: 24, ks: [3, 5], e: [2, 4], d: [1, 1] };
const front: FrontFile = {
  format: 'ofakit.front/1',
  space: 'small',
  strategy: 'nsga2',
  seed: 0,
  evaluated: 10,
  objectives: [
    { name: 'macs', unit: 'MACs', direction: 'minimize' },
    { name: 'latencyMs.say "pi", 4', unit: 'ms', direction: 'minimize' },
  ],
  limits: [],
  picked: { rule: 'knee', index: 1 },
  points: [
    { architecture, values: { accuracy: 0.5, macs: 1e6, 'latencyMs.say "pi", 4': 0.25 } },
    { architecture, values: { accuracy: 0.75, macs: 2e6, 'latencyMs.say "pi", 4': 0.125 } },
  ],
};

/** RFC 4180, character by character. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let [row, cell, quoted]: [string[], string, boolean] = [[], '', false];
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') {
        cell += c;
        i++;
      } else quoted = false;
    } else if (c === '"') quoted = true;
    else if (c === ',') {
      row.push(cell);
      cell = '';
    } else if (c === '\n') {
      rows.push([...row, cell.replace(/\r$/, '')]);
      [row, cell] = [[], ''];
    } else cell += c;
  }
  return rows;
}

describe('frontCsv', () => {
  it('is a table with the objectives first, whatever names hold', () => {
    const [header, ...lines] = parseCsv(frontCsv(front));
    expect(header).toEqual(['macs', 'latencyMs.say "pi", 4', 'accuracy', 'picked', 'architecture']);
    expect(lines.map((line) => line.slice(0, 4).map(Number))).toEqual([
      [1e6, 0.25, 0.5, 0],
      [2e6, 0.125, 0.75, 1],
    ]);
    expect(lines.map((line) => JSON.parse(line[4]!) as unknown)).toEqual([architecture, architecture]);
  });

  it('has no column of what was not picked', () => {
    const { picked: _, ...rest } = front;
    expect(parseCsv(frontCsv(rest))[0]).not.toContain('picked');
  });
});

it('the form of a front', () => {
  expect(frontFileSchema.parse(JSON.parse(JSON.stringify(front)))).toEqual(front);
  for (const wrong of [
    { points: [] },
    { objectives: [] },
    { extra: 1 },
    { picked: { rule: 'best', index: 0 } },
  ])
    expect(frontFileSchema.safeParse({ ...front, ...wrong }).success).toBe(false);
});
