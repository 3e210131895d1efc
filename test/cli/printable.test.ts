/** What files, names and agents say, on its way to a terminal. */
import { mkdirSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLogger, formatRows, printableConsole, type Console } from '../../src/cli/console.js';
import { main } from '../../src/cli/main.js';
import { printable } from '../../src/cli/printable.js';
import { loadDevice } from '../../src/device/profile.js';
import { ofa } from './support/cli.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
/** Clears the screen, sets the title, with 8-bit controls, and turns the direction of writing around. */
const ORDERS = [
  '\u001b[2J',
  '\u001b]0;title\u0007',
  '\u009b31m',
  '\u202etxt.exe',
  '\r',
  '\b',
  '\u2028',
  '\u007f',
];
const OBEYED = /[^\P{Cc}\t\n]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;

function listening(): Console & { text(): string } {
  let all = '';
  const write = (text: string): void => void (all += text);
  return { out: write, err: write, interactive: false, text: () => all };
}

describe('text for a terminal', () => {
  it('has no orders left, and means the same in JSON (property)', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fc.oneof(fc.string(), fc.constantFrom(...ORDERS))).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (raw) => {
        expect(printable(raw)).not.toMatch(OBEYED);
        expect(JSON.parse(printable(JSON.stringify({ [raw]: raw }, null, 2)))).toEqual({ [raw]: raw });
      }),
    );
  });

  it('stays as it is where it holds none', () => {
    for (const text of ['97.20 %\n\t± 0.3 µs', '日本語 🙂 e\u0301 שלום', '█▀▄ ▄'])
      expect(printable(text)).toBe(text);
  });

  it('is what tables, messages and progress are made of', async () => {
    const console = listening();
    const logger = await createLogger(printableConsole(console));
    for (const order of ORDERS) {
      logger.info(`a ${order}`);
      logger.warn(`${order}\nWarning: forged`);
      logger.progress(order, 2).update(1, order);
    }
    expect(console.text()).not.toMatch(OBEYED);
    expect(console.text()).not.toMatch(/^Warning: forged/m);
    expect(formatRows(['a', 'b'], [['\u001b[31m\nx', 1]])).toBe('a              b\n\\u001b[31m\\nx  1\n');
  });
});

describe('a command', () => {
  it('shows nothing of a file that a terminal would obey', async () => {
    const local = await loadDevice('local-cpu');
    mkdirSync(path('devices'));
    const description = ORDERS.join(' ');
    writeFileSync(path('devices', 'evil.json'), JSON.stringify({ ...local, name: 'evil', description }));
    const cwd = path('.');
    const listed = await ofa(['device', 'list'], { cwd });
    expect(listed.code).toBe(0);
    expect(listed.stdout).toContain('\\u001b[2J');
    const json = await ofa(['device', 'list', '--json'], { cwd });
    expect(JSON.parse(json.stdout)).toContainEqual({ ...local, name: 'evil', description });
    writeFileSync(path('devices', 'bad.json'), JSON.stringify({ ...local, [`key${ORDERS.join('')}`]: 1 }));
    const bad = await ofa(['device', 'check', 'bad'], { cwd });
    expect(bad.code).toBe(1);
    for (const { stdout, stderr } of [listed, json, bad]) expect(stdout + stderr).not.toMatch(OBEYED);
  });

  it.each(ORDERS)('names an argument with %j in a message', async (order) => {
    const console = listening();
    expect(await main(['space', 'show', `x${order}y`], console)).toBe(1);
    expect(await main([`--x${order}y`], console)).toBe(2);
    expect(console.text()).toContain('x');
    expect(console.text()).not.toMatch(OBEYED);
  });
});
