import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { blockPositions, readReportData, type ReportData } from '../../src/report/data.js';
import { formatLimit, formatMs, formatTop1 } from '../../src/report/format.js';
import { escapeHtml } from '../../src/report/html.js';
import { renderReport, writeReport } from '../../src/report/report.js';
import { loadSpace } from '../../src/space/presets.js';
import { CLASSES, fullReport, minimalReport } from './sample.js';
import { elementNames } from './xml.js';

const HOSTILE = `</title></svg><script>alert("1")</script>&'\u0000<img src=x onerror=alert(1)>`;

/** Puts `text` wherever the data has a string of its own. */
function withHostileText<T>(value: T, text: string): T {
  if (typeof value === 'string') return text as T;
  if (Array.isArray(value)) return value.map((item: unknown) => withHostileText(item, text)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]: [string, unknown]) => [
    key,
    key === 'kind' ? inner : withHostileText(inner, text),
  ]);
  return Object.fromEntries(entries) as T;
}

const pictures = (page: string): string[] => page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
const headings = (page: string): string[] => [...page.matchAll(/<h2 id="(\w+)"/g)].map((match) => match[1]!);

/** A page is XML but for its doctype. */
const content = (page: string): string =>
  page.replace(/^<!doctype html>\n/, '').replace(/<style>[\s\S]*?<\/style>/, '');

describe('renderReport', () => {
  let page: string;
  beforeAll(async () => {
    page = await renderReport(fullReport());
  }, 60_000);

  it('has all sections for a full run', () => {
    expect(headings(page)).toEqual([
      'tradeoff',
      'models',
      'classes',
      'devices',
      'latency',
      'accuracy',
      'training',
      'measured',
    ]);
    expect(page).toContain('<h1>Six models for local-cpu and phone, ');
    // Six strips; for wide and for narrow screens two trade-offs, scatter and histogram a device, accuracy, two training curves.
    expect(pictures(page)).toHaveLength(6 + 2 * (2 + 4 + 1 + 2));
  });

  it('is well-formed, needs nothing from elsewhere and runs nothing', () => {
    const names = new Set(elementNames(content(page)));
    expect(names).toContain('svg');
    for (const name of ['script', 'link', 'img', 'iframe', 'object', 'image', 'use'])
      expect(names).not.toContain(name);
    const addresses = [...page.matchAll(/(?:href|src)="([^"]*)"/g)].map((match) => match[1]!);
    expect(addresses).toHaveLength(6);
    for (const address of addresses) expect(address).toMatch(/^\.\/models\/.*\.onnx$/);
    expect(page).not.toMatch(/@import|url\((?!#)/);
    expect(page.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\//);
  });

  it('draws a mark with a tooltip for every subnet, front point and model', () => {
    const data = fullReport();
    const titles = [...page.matchAll(/<title>([^<]*)<\/title>/g)].map((match) => match[1]!);
    const count = (start: string): number => titles.filter((title) => title.startsWith(start)).length;
    expect(count('Measured: ')).toBe(data.subnets.filter(({ kind }) => kind === 'measured').length);
    expect(count('Predicted: ')).toBe(data.subnets.filter(({ kind }) => kind === 'predicted').length);
    expect(count('Pareto front')).toBe(data.front.length);
    expect(count('Chosen for')).toBe(data.models.length);
    expect(page).not.toMatch(/ecmeta|zr\d/);
  });

  it('lists every model with what was predicted and measured', () => {
    const data = fullReport();
    const rows = page.match(/<tr>[\s\S]*?<\/tr>/g)!;
    for (const model of data.models) {
      const row = rows.find((text) => text.includes(`./${model.file}`))!;
      for (const text of [
        model.device,
        formatLimit(model.maxLatencyMs),
        formatMs(model.predictedMs),
        formatMs(model.measuredMs),
        formatTop1(model.predictedTop1),
        formatTop1(model.measuredTop1),
        model.meetsLimit ? '>yes<' : '>no<',
      ])
        expect(row).toContain(text);
    }
  });

  it('has every model on every device, and what specialising bought', () => {
    const { models } = fullReport();
    const section = page.slice(page.indexOf('id="devices"'), page.indexOf('id="latency"'));
    const tables = section
      .match(/<table>[\s\S]*?<\/table>/g)!
      .map((text) => text.match(/<tr>[\s\S]*?<\/tr>/g)!);
    const [worth, finalists, matrix, bought] = tables.map((rows) => rows.slice(1));
    for (const [i, { device, maxLatencyMs, onDevices, borrowed, measuredTop1 }] of models.entries()) {
      const name = `${device}, ≤ ${formatLimit(maxLatencyMs)}`;
      for (const rows of [worth!, matrix!, bought!]) expect(rows[i]).toContain(`>${name}<`);
      for (const { device: other, measuredMs, predictedMs } of onDevices!) {
        const words = `${measuredMs === null ? 'not measured' : formatMs(measuredMs)} (${formatMs(predictedMs!)})`;
        expect(matrix![i]).toContain(other === device ? `<strong>${words}</strong>` : `>${words}<`);
      }
      expect(bought![i]).toContain(
        borrowed == null
          ? 'no model keeps the limit'
          : `>+${(100 * (measuredTop1 - borrowed.measuredTop1)).toFixed(2)} points<`,
      );
    }
    expect(finalists).toHaveLength(models.flatMap((model) => model.finalists!).length);
    const one = { ...minimalReport(), models: models.map((model) => ({ ...model, onDevices: [] })) };
    return renderReport(one).then((text) => {
      expect(text).toContain('What the predictions were worth');
      expect(text).not.toContain('What specialising bought');
    });
  });

  it('has a picture of every chart whose text can be read on a phone of 390 pixels', () => {
    // The page leaves a picture the width of the screen less its margins.
    const room = 390 - 2 * 24;
    const narrow = [...page.matchAll(/<div class="narrow">\s*(<svg[\s\S]*?<\/svg>)/g)].map(
      (match) => match[1]!,
    );
    expect(narrow).toHaveLength(9);
    for (const picture of narrow) {
      const width = Number(/viewBox="0 0 (\d+) /.exec(picture)![1]);
      const sizes = [...picture.matchAll(/font-size:(\d+)px/g)].map((match) => Number(match[1]));
      expect(sizes.length).toBeGreaterThan(0);
      expect((Math.min(...sizes) * room) / width).toBeGreaterThanOrEqual(11);
    }
  });

  it('tells of every class how many images were recognised, and what the others were taken for', () => {
    const section = page.slice(page.indexOf('id="classes"'), page.indexOf('id="devices"'));
    const [hardest, matrix] = section.match(/<table[\s\S]*?<\/table>/g)!;
    const rows = hardest.match(/<tr>[\s\S]*?<\/tr>/g)!.slice(1);
    expect(rows).toHaveLength(CLASSES.length);
    expect(rows[0]).toContain('>class j<');
    expect(rows[0]).toContain(`>${formatTop1(0.91)}<`);
    const line = matrix!.match(/<tr>[\s\S]*?<\/tr>/g)!.find((row) => row.includes('scope="row">class d<'))!;
    const cells = [...line.matchAll(/<td[^>]*>([^<]*)</g)].map((match) => match[1]!.trim());
    expect(cells).toEqual(['3', '', '', '97', '', '', '', '', '', '']);
  });

  it('lists the most frequent confusions where a matrix would be too large', async () => {
    const model = fullReport().models[0]!;
    const count = Array.from({ length: 30 }, () => 50);
    const classNames = count.map((_, i) => `kind ${i}`);
    const confused: [number, number, number][] = [[7, 9, 2]];
    const models = [{ ...model, byClass: { count, correct: count.map((images) => images - 2), confused } }];
    const text = await renderReport({ ...minimalReport(), classNames, models });
    expect(text).not.toContain('Confusion matrix');
    expect(text).toMatch(/>kind 7<\/th>\s*<td[^>]*>kind 9<\/td>\s*<td[^>]*>2 of 50 images</);
  });

  it('says where the weights are from, and what a run without models has', async () => {
    const base = minimalReport();
    const text = async (more: Partial<ReportData>): Promise<string> => renderReport({ ...base, ...more });
    const imported = await text({
      origin: { kind: 'imported', from: 'ofa_mbv3' },
      dataset: { ...base.dataset, name: 'unknown' },
    });
    expect(imported).toContain('were imported from ofa_mbv3');
    expect(imported).not.toMatch(/trained on|0 training/);
    expect(await text({ origin: { kind: 'finetuned' } })).toContain('was trained on by itself on mnist');
    const sampled = { count: 12, split: 'validation', images: 150, lowestTop1: 0.5, highestTop1: 0.75 };
    const page = await text({ sampled, tables: [{ device: 'pi', blocks: 44 }] });
    expect(page).toMatch(/<h1>(Twelve|12) subnets of mbv3-tiny, 50\.0 to 75\.0\s% top-1 \(validation\)/);
    expect(page).toContain('150 validation images');
    expect(page).toMatch(/<dd>pi<small>44 blocks</);
  });

  it('gives the same text for the same data, in one process', async () => {
    expect(await renderReport(fullReport())).toBe(page);
  }, 30_000);

  it('names the commands that bring what is missing', async () => {
    const page = await renderReport(minimalReport());
    expect(headings(page)).toEqual(['models', 'latency', 'accuracy', 'measured']);
    expect(pictures(page)).toEqual([]);
    for (const command of ['ofa specialize', 'ofa measure', 'ofa accuracy fit'])
      expect(page).toContain(command);
    elementNames(content(page));
  });

  it('takes parts that are there but empty, and parts with one value', async () => {
    const base = minimalReport();
    const full = fullReport();
    const one: ReportData = {
      ...base,
      training: { phases: [], loss: [{ step: 0, loss: 1 }], validation: [] },
      accuracy: {
        kendallTau: null,
        rmsePoints: 0,
        heldOut: 1,
        points: [{ predictedTop1: 0, measuredTop1: 0 }],
      },
      latency: [
        {
          ...full.latency[0]!,
          kendallTau: null,
          histogramMs: [0.2],
          points: [{ predictedMs: 1, measuredMs: 1 }],
        },
      ],
      subnets: full.subnets.slice(0, 1),
    };
    const empty: ReportData = {
      ...base,
      training: { phases: [], loss: [], validation: [] },
      accuracy: { ...one.accuracy!, points: [] },
      latency: [{ ...one.latency[0]!, points: [], histogramMs: [] }],
    };
    for (const [data, count] of [
      [one, 5],
      [empty, 0],
    ] as const) {
      const page = await renderReport(data);
      elementNames(content(page));
      // For wide and for narrow screens.
      expect(pictures(page)).toHaveLength(2 * count);
      expect(page).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  it('escapes whatever the data holds', async () => {
    const data = withHostileText(fullReport(), HOSTILE);
    const page = await renderReport(data);
    const names = elementNames(content(page));
    expect(names).not.toContain('script');
    expect(names).not.toContain('img');
    expect(page).toContain(escapeHtml(HOSTILE));
    expect(page).not.toContain('\u0000');
  }, 30_000);

  it('lets no path become another kind of link', async () => {
    const data = { ...minimalReport(), models: fullReport().models };
    for (const [file, href] of [
      ['javascript:alert(1)', './javascript%3Aalert(1)'],
      ['a b/ü"#?.onnx', './a%20b/%C3%BC%22%23%3F.onnx'],
      ['..\\models\\x.onnx', '../models/x.onnx'],
      ['/etc/passwd', undefined],
      ['C:\\x.onnx', undefined],
      ['//host/x', undefined],
    ] as const) {
      const page = await renderReport({ ...data, models: [{ ...data.models[0]!, file }] });
      const found = [...page.matchAll(/href="([^"]*)"/g)].map((match) => match[1]!);
      expect(found).toEqual(href === undefined ? [] : [href]);
    }
  });

  it('refuses data that is no report', async () => {
    const data = fullReport();
    const broken = { ...data, models: [{ ...data.models[0]!, measuredMs: Number.NaN }] };
    await expect(renderReport(broken)).rejects.toThrow(/models\.0\.measuredMs/);
  });
});

describe('writeReport', () => {
  it('writes a page and the data it can be made from again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'report-'));
    try {
      const path = join(folder, 'deep', 'report.html');
      await writeReport(path, fullReport());
      expect((await readdir(join(folder, 'deep'))).sort()).toEqual(['report.html', 'report.json']);
      const data = await readReportData(join(folder, 'deep', 'report.json'));
      expect(data).toEqual(fullReport());
      expect(await renderReport(data)).toBe(await readFile(path, 'utf8'));
      await expect(readReportData(path)).rejects.toThrow(/it is not JSON/);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 30_000);
});

describe('blockPositions', () => {
  it('places every entry of e in its stage', async () => {
    const space = await loadSpace('ofa-mbv3');
    const blocks = blockPositions(space.genes);
    expect(blocks).toHaveLength(space.largest.e.length);
    expect(blocks[5]).toEqual({ stage: 1, position: 1 });
  });
});
