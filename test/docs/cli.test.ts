/** docs/cli.md against the commands: every command and option is there, and none that is not. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands/index.js';
import { createContext } from '../../src/cli/context.js';
import { packagePath } from '../../src/util/scripts.js';

const program = new Command('ofa');
const context = createContext({ out: () => undefined, err: () => undefined, interactive: false }, () => {
  throw new Error('nothing runs here');
});
for (const register of commands) register(program, context);

function leaves(command: Command, words = 'ofa'): [string, Command][] {
  return command.commands.flatMap((child) => {
    const own = `${words} ${child.name()}`;
    return child.commands.length === 0 ? [[own, child] as [string, Command]] : leaves(child, own);
  });
}

const sections = new Map(
  readFileSync(packagePath('docs/cli.md'), 'utf8')
    .split(/^#{2,3} /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf('\n')), text] as const),
);

describe('docs/cli.md', () => {
  it.each(leaves(program))('%s', (name, command) => {
    const text = sections.get(name) ?? '';
    const documented = [...text.matchAll(/^\|([^|\n]|\\\|)*/gm)]
      .flatMap(([cell]) => [...cell.matchAll(/`(--[\w-]+)/g)].map(([, option]) => option!))
      .sort();
    expect(documented).toEqual(command.options.map(({ long }) => long!).sort());
    let help = '';
    command.configureOutput({ writeOut: (part) => (help += part) }).outputHelp();
    const example = /Example: (.*)/.exec(help)?.[1] ?? 'no example';
    expect(text).toContain(`\n    ${example}\n`);
  });

  it('has no command that does not exist', () => {
    const documented = [...sections.keys()].filter((heading) => heading.startsWith('ofa '));
    expect(documented.sort()).toEqual(
      leaves(program)
        .map(([name]) => name)
        .sort(),
    );
  });

  it('lists as missing only what is missing', () => {
    const names = leaves(program).map(([name]) => name);
    const missing = [...sections.get('Not yet')!.matchAll(/^\| `(ofa [a-z]+)[^|]*`/gm)].map(
      ([, name]) => name!,
    );
    expect(missing.length).toBeGreaterThan(0);
    const whole = new Set(['ofa import', 'ofa agent', 'ofa finetune', 'ofa bench', 'ofa report']);
    expect(missing.filter((name) => whole.has(name) && names.some((n) => n.startsWith(name)))).toEqual([]);
  });
});
