/** docs/architecture.md against the code: folders and what they import, files that it names. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packagePath } from '../../src/util/scripts.js';

const read = (path: string): string => readFileSync(packagePath(path), 'utf8');
const text = read('docs/architecture.md');

const folders = readdirSync(packagePath('src')).filter((name) =>
  statSync(packagePath(`src/${name}`)).isDirectory(),
);

/** Folders of src/ that a folder's files import from, statically, as types, or when they are needed. */
function importsOf(folder: string): string[] {
  const files = readdirSync(packagePath(`src/${folder}`), { recursive: true, encoding: 'utf8' });
  const found = new Set<string>();
  for (const file of files.filter((name) => name.endsWith('.ts'))) {
    const source = read(join('src', folder, file));
    for (const [, target] of source.matchAll(/(?:from|import\() ?'(?:\.\.\/)+(\w+)\/[^']+'/g))
      found.add(target!);
  }
  return [...found].filter((name) => name !== folder && folders.includes(name)).sort();
}

describe('docs/architecture.md', () => {
  it('lists the folders with what they import', () => {
    const rows = [...text.matchAll(/^\| `(\w+)` +\| [^|]+ \| ([a-z ]*)\|$/gm)];
    const documented = Object.fromEntries(
      rows.map(([, folder, imports]) => [folder!, imports!.trim().split(' ').filter(Boolean)]),
    );
    expect(documented).toEqual(Object.fromEntries(folders.map((folder) => [folder, importsOf(folder)])));
  });

  it.each(
    ['docs/architecture.md', 'docs/formats.md', 'docs/cli.md', 'docs/devices.md'].map((page) => [page]),
  )('%s names files that exist', (page) => {
    const named = [...read(page).matchAll(/`((?:src|test|scripts|devices|supernets)\/[\w./-]+)`/g)].map(
      ([, path]) => path!,
    );
    const missing = named.filter((path) => !/[A-Z]{4}/.test(path) && !existsSync(packagePath(path)));
    expect(missing).toEqual([]);
  });

  it('links to pages and headings that exist', () => {
    const decisions = readdirSync(packagePath('docs/decisions')).map((name) => `decisions/${name}`);
    for (const page of ['architecture.md', 'formats.md', 'cli.md', 'devices.md', ...decisions]) {
      for (const [, target, anchor] of read(`docs/${page}`).matchAll(/\]\(([\w/.-]*)(#[\w-]+)?\)/g)) {
        const path = target === '' ? page : target!;
        expect(existsSync(packagePath(`docs/${path}`)), `${page}: ${path}`).toBe(true);
        if (anchor === undefined) continue;
        const headings = [...read(`docs/${path}`).matchAll(/^#+ (.*)$/gm)].map(
          ([, heading]) => `#${heading!.toLowerCase().replaceAll('`', '').replaceAll(' ', '-')}`,
        );
        expect(headings, `${page}: ${anchor}`).toContain(anchor);
      }
    }
  });
});
