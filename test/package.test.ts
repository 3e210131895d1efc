/** What is published and what installing it runs: package.json, package-lock.json and the files of the package. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { packagePath } from '../src/util/scripts.js';

const read = (path: string): string => readFileSync(packagePath(path), 'utf8');
const manifest = z
  .object({
    repository: z.object({ type: z.literal('git'), url: z.url() }),
    dependencies: z.record(z.string(), z.string()),
    optionalDependencies: z.record(z.string(), z.string()),
    peerDependencies: z.record(z.string(), z.string()),
    overrides: z.record(z.string(), z.unknown()),
    allowScripts: z.record(z.string(), z.boolean()),
  })
  .parse(JSON.parse(read('package.json')));

/** Packages of the modules that a file imports, statically or when it needs them. */
const packagesOf = (path: string): string[] =>
  ts
    .preProcessFile(read(path))
    .importedFiles.map(({ fileName }) => /^(?:node:)?(@[^/]+\/[^/]+|[^./@][^/]*)/.exec(fileName)?.[1])
    .filter((name) => name !== undefined);

/** Paths in the tarball. */
let packed: Set<string>;
beforeAll(async () => {
  const words = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = await promisify(execFile)('npm', words, {
    cwd: packagePath('.'),
    shell: process.platform === 'win32',
    maxBuffer: 1e8,
  });
  const parsed: unknown = JSON.parse(stdout);
  const file = z.object({ files: z.array(z.object({ path: z.string() })) });
  // npm before 12 prints a list, npm 12 an object by name.
  const [only] = Object.values(z.record(z.string(), file).parse({ ...(parsed as object) }));
  packed = new Set(only!.files.map(({ path }) => path));
}, 60_000);

describe('the published package', () => {
  it('holds what its pages link to', () => {
    const pages = [...packed].filter((path) => path.endsWith('.md'));
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'docs/cli.md']));
    const missing = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => target!)
        .filter((target) => !/^\w+:/.test(target))
        .map((target) => posix.join(posix.dirname(page), target))
        .filter(
          (path) => !packed.has(path) && ![...packed].some((file) => file.startsWith(posix.join(path, '/'))),
        )
        .map((path) => `${page}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('holds what commands read, and nothing of the build', () => {
    expect([...packed]).toEqual(
      expect.arrayContaining([
        'bin/ofa.js',
        'dist/index.d.ts',
        'devices/local-cpu.json',
        'supernets/mbv3-tiny/space.json',
      ]),
    );
    expect([...packed].filter((path) => /\.map$|tsbuildinfo|^(src|test|scripts)\//.test(path))).toEqual([]);
  });

  it('brings the digits of the quickstart', () => {
    expect(Object.keys(manifest.optionalDependencies)).toContain('mnist');
  });

  it('imports what is installed with it, and nothing that an override changed', () => {
    const { dependencies, optionalDependencies, peerDependencies, overrides } = manifest;
    const own = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
    expect(own.filter((name) => name in overrides)).toEqual([]);
    const imported = new Set<string>();
    for (const path of [...packed].filter((file) => /^dist\/.*\.(d\.ts|js)$/.test(file)))
      for (const name of packagesOf(path)) imported.add(name);
    const known = [...own, ...builtinModules];
    expect([...imported].filter((name) => !known.includes(name))).toEqual([]);
    expect(imported).toContain('protobufjs');
  });
});

describe('npm ci in a checkout', () => {
  const lock = z
    .object({ packages: z.record(z.string(), z.object({ hasInstallScript: z.boolean().optional() })) })
    .parse(JSON.parse(read('package-lock.json')));

  it('runs no install scripts of packages, by package-lock.json in npm 10 and by package.json later', () => {
    const scripted = Object.entries(lock.packages).filter(
      ([, { hasInstallScript }]) => hasInstallScript === true,
    );
    expect(
      scripted.map(([path]) => path),
      'npm put it back, probably: see docs/decisions/0001-npm-ci-without-downloads.md',
    ).toEqual([]);
    expect(manifest.allowScripts['onnxruntime-node']).toBe(false);
  });

  it('has no settings of the project that npm warns of', () => {
    expect(existsSync(packagePath('.npmrc'))).toBe(false);
  });
});
