import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands/index.js';
import { createContext } from '../../src/cli/context.js';
import { ofa } from './support/cli.js';

const program = new Command('ofa');
const context = createContext({ out: () => undefined, err: () => undefined, interactive: false }, () => {
  throw new Error('help takes no signal');
});
for (const register of commands) register(program, context);

/** Words of every command that does something. */
function leaves(command: Command, words: readonly string[] = []): { words: string[]; command: Command }[] {
  return command.commands.flatMap((child) => {
    const own = [...words, child.name()];
    return child.commands.length === 0 ? [{ words: own, command: child }] : leaves(child, own);
  });
}

const all = leaves(program);

describe('help', () => {
  it('knows every command of the contract that exists', () => {
    const names = all.map(({ words }) => words.join(' '));
    const contract =
      'space list,space show,cost,train,eval,device list,device check,measure,latency query,latency validate,' +
      'accuracy sample,accuracy fit,search,specialize,export,verify';
    expect(names).toEqual(expect.arrayContaining(contract.split(',')));
  });

  it.each(all)('$words: --help ends with an example of its own options', async ({ words, command }) => {
    const { code, stdout, stderr } = await ofa([...words, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: ofa ${words.join(' ')} `));
    const example = /\nExample: (ofa .*)\n$/.exec(stdout)?.[1] ?? '';
    expect(example).toMatch(new RegExp(`^ofa ${words.join(' ')}( |$)`));
    const options = command.options.map(({ long }) => long);
    for (const word of example.split(' ').filter((part) => part.startsWith('--'))) {
      expect(options).toContain(word);
    }
    for (const option of command.options.filter(({ mandatory }) => mandatory)) {
      expect(example).toContain(option.long);
    }
  });

  it('lists all commands', async () => {
    const { code, stdout } = await ofa(['--help']);
    expect(code).toBe(0);
    for (const child of program.commands) expect(stdout).toMatch(new RegExp(`^  ${child.name()} `, 'm'));
  });

  it('prints the version', async () => {
    expect(await ofa(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });
});
