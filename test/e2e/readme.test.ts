/** The README's example, compiled against the public API: a name that is gone fails here. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;

it('the library example type-checks', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);
  expect(examples.length).toBeGreaterThan(0);
  // Inside the package, so that `ofakit` resolves to itself as it does for a user.
  const folder = mkdtempSync(join(root, 'test', 'e2e', 'readme-'));
  try {
    examples.forEach((code, i) => writeFileSync(join(folder, `example${i}.mts`), code));
    const files = examples.map((_, i) => join(folder, `example${i}.mts`));
    const flags = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--target',
      'ES2022',
      '--module',
      'NodeNext',
      '--types',
      'node',
    ];
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...flags, ...files], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } catch (error) {
    throw new Error((error as { stdout?: string }).stdout ?? String(error), { cause: error });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

it('names commands and files that exist', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const help = execFileSync(process.execPath, [join(root, 'bin/ofa.js'), '--help'], { encoding: 'utf8' });
  const commands = new Set([...readme.matchAll(/(?:npx )?\bofa (\w+)/g)].map(([, name]) => name!));
  for (const command of commands) expect(help).toMatch(new RegExp(`^\\s+${command}\\b`, 'm'));
  for (const [, path] of readme.matchAll(/\]\((docs\/[\w./-]+)\)/g)) {
    expect(() =>
      readFileSync(join(root, path!.endsWith('/') ? `${path!}0001-npm-ci-without-downloads.md` : path!)),
    ).not.toThrow();
  }
});
