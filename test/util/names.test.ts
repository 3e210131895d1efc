/** Names become parts of paths: none that a file brings may lead out of a folder. */
import { relative, resolve, sep } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deviceProfileSchema, ownDevicePath } from '../../src/device/profile.js';
import { decodeMetadata, METADATA_KEYS } from '../../src/export/metadata.js';
import { importedTableSchema } from '../../src/latency/imported.js';
import { measuredTableSchema, tablePath } from '../../src/latency/table.js';
import { transferSourceSchema } from '../../src/latency/transferSource.js';
import { finalistLineSchema } from '../../src/pipeline/finalistJournal.js';
import { specializationSchema } from '../../src/pipeline/specialization.js';
import { findTable } from '../../src/pipeline/tables.js';
import { frontFileSchema } from '../../src/search/front.js';
import { createSpace, spaceFileSchema } from '../../src/space/space.js';
import { checkpointSchema } from '../../src/supernet/checkpoint.js';
import { positionSchema } from '../../src/training/position.js';
import { UserError } from '../../src/util/errors.js';
import { nameProblem, pathInside } from '../../src/util/names.js';
import { smallSpace } from '../support/spaces.js';

const WRONG = [
  '..',
  '.',
  '',
  '../x',
  'a/../../x',
  '/etc/x',
  'a\\b',
  'C:x',
  '.hidden',
  '-rf',
  'a\0b',
  'a\nb',
  '\u001b[31mx',
  '\u202Ex',
  'con',
  'NUL.json',
  'lpt1.txt',
  'x.',
  'x ',
  'x'.repeat(101),
];

describe('a name', () => {
  it.each(WRONG)('%o is refused', (name) => {
    expect(nameProblem(name)).toMatch(/^a name must /);
  });

  it.each(['mbv3-tiny', 'local-cpu-2t', 'Pixel_4.1', 'größe', '電話', 'my net', 'console', '1.5x', 'a..b'])(
    '%o is a name',
    (name) => {
      expect(nameProblem(name)).toBeUndefined();
    },
  );

  it('never leads out of the folder it is joined to', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', '/', '\\', ':', 'a', ' ', '\0', '~') }), (name) => {
        if (nameProblem(name) !== undefined) return;
        const way = relative(resolve('out'), resolve(pathInside('out', `${name}.json`)));
        expect(way.includes(sep) || way.startsWith('..')).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('every file that has one', () => {
  const { file } = smallSpace();
  const name = (bad: string) => ({ name: bad });
  const files = [
    ['a space', spaceFileSchema, (bad: string) => ({ ...file, name: bad }), 'name'],
    ['a checkpoint', checkpointSchema, (bad: string) => ({ space: { ...file, name: bad } }), 'space.name'],
    ['a profile', deviceProfileSchema, name, 'name'],
    ['a table', measuredTableSchema, (bad: string) => ({ device: name(bad) }), 'device.name'],
    ['an imported table', importedTableSchema, (bad: string) => ({ device: name(bad) }), 'device.name'],
    [
      'the space of a table',
      importedTableSchema,
      (bad: string) => ({ space: { ...file, name: bad } }),
      'space.name',
    ],
    ['a source', transferSourceSchema, (bad: string) => ({ device: bad }), 'device'],
    ['a specialisation', specializationSchema, (bad: string) => ({ space: bad }), 'space'],
    ['its models', specializationSchema, (bad: string) => ({ models: [{ device: bad }] }), 'models.0.device'],
    ['a finalist', finalistLineSchema, (bad: string) => ({ kind: 'latency', device: bad }), 'device'],
    ['a front', frontFileSchema, (bad: string) => ({ space: bad }), 'space'],
    ['a teacher', positionSchema, (bad: string) => ({ teacher: { file: bad } }), 'teacher.file'],
  ] as const;

  it.each(files)('%s', (_, schema, content, key) => {
    for (const bad of WRONG) {
      const issues = schema.safeParse(content(bad)).error?.issues ?? [];
      expect(issues.map(({ path }) => path.join('.'))).toContain(key);
    }
  });

  it('a model', () => {
    const overrides = { width: 1, classes: 4, imageSizes: [16] };
    const read = (property: string, value: unknown) =>
      decodeMetadata(new Map([[property, JSON.stringify(value)]]));
    expect(() => read(METADATA_KEYS.space, { name: '../x', overrides })).toThrow(UserError);
    expect(() => read(METADATA_KEYS.latency, [{ device: '../x', latencyMs: 1 }])).toThrow(UserError);
  });

  it('is named with its key', () => {
    expect(() => createSpace({ ...file, name: '../x' }, {}, 'my/space.json')).toThrow(
      /^Cannot use my\/space\.json at "name": a name must be letters, .*: it is "\.\.\/x"$/,
    );
  });
});

it('paths made of words of a command stay inside', async () => {
  for (const word of ['..', '../..', 'a/../../b']) {
    expect(() => tablePath(word, 'space', 'tables')).toThrow(UserError);
    expect(() => tablePath('device', word, 'tables')).toThrow(UserError);
    await expect(findTable(word, smallSpace())).rejects.toThrow(UserError);
    expect(() => ownDevicePath(word)).toThrow(UserError);
    expect(() => pathInside('tables', word, '..', 'x')).toThrow(/a path inside tables is wanted/);
  }
  expect(tablePath('phone', 'net', 'tables')).toBe(`tables${sep}phone${sep}net.json`);
});
