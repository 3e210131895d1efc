/** Checkpoints come from strangers: whatever is in one, reading it runs nothing, ends, and takes memory in proportion. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readStateDict } from '../../../src/supernet/import/stateDict.js';
import { ByteReader } from '../../../src/supernet/import/byteReader.js';
import { unpickle } from '../../../src/supernet/import/pickle.js';
import { torchMeaning } from '../../../src/supernet/import/torchTensors.js';
import { UserError } from '../../../src/util/errors.js';
import {
  floatStorage,
  torchParts,
  writeLegacyTorchFile,
  writeTorchFile,
  writeZip,
  WrittenCall,
  WrittenTensor,
  type Writable,
  type ZipPart,
} from '../../support/torchFile.js';

const state = new Map<string, Writable>([
  ['epoch', 3],
  ['best', 0.5],
  [
    'state_dict',
    new Map<string, Writable>([
      ['a.weight', new WrittenTensor(floatStorage([1, 2, 3, 4, 5, 6]), [2, 3])],
      ['b.weight', new WrittenTensor(floatStorage([1, 2, 3, 4]), [2, 2], [1, 2])],
    ]),
  ],
]);
const zip = writeTorchFile(state);
const legacy = writeLegacyTorchFile(state);

/** Values that a file may claim before a reader must have looked at its size. */
const MOST_VALUES = 1000;

/** Reads all of a file; the only way not to is a UserError. */
async function readAll(bytes: Uint8Array): Promise<string> {
  try {
    for (const tensor of (await readStateDict(bytes, 'w.pth')).values()) {
      // As the importer does: a shape that nobody wants is never read.
      if (tensor.shape.reduce((product, n) => product * n, 1) <= MOST_VALUES) tensor.read();
    }
    return 'read';
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.message).toContain('w.pth');
    return error.message;
  }
}

/** Changes the unpacked size that an archive's directory states of a part. */
function stateSize(archive: Buffer, name: string, sizeBytes: number): Buffer {
  const DIRECTORY_ENTRY_BYTES = 46;
  archive.writeUInt32LE(sizeBytes, archive.lastIndexOf(name) - DIRECTORY_ENTRY_BYTES + 24);
  return archive;
}

const withPickle = (pickle: Uint8Array): Buffer =>
  writeZip([{ name: 'a/data.pkl', bytes: pickle }, ...torchParts(state).slice(1)]);

describe('hostile checkpoints', () => {
  it.each([
    ['os', 'system', ['touch ofakit-was-here']],
    ['builtins', 'eval', ['1']],
    ['posix', 'system', ['true']],
    ['torch', 'load', ['x']],
    ['numpy.core.multiarray', 'scalar', []],
    ['torch.nn.modules.conv', 'Conv2d', []],
  ])('refuses to call %s.%s, naming it', async (module, name, args) => {
    for (const write of [writeTorchFile, writeLegacyTorchFile]) {
      const inside = new Map<string, Writable>([
        ['state_dict', new Map([['a', new WrittenCall(module, name, args)]])],
      ]);
      const message = await readAll(write(inside));
      expect(message).toContain(`"${module}.${name}"`);
      expect(message).toContain('torch.save');
    }
  });

  it('refuses other ways to name a global', async () => {
    const stackGlobal = Buffer.concat([
      Buffer.from('80048c026f738c0673797374656d93', 'hex'),
      Buffer.from('8c0474727565', 'hex'),
      Buffer.from('85522e', 'hex'),
    ]);
    expect(await readAll(withPickle(stackGlobal))).toContain('"os.system"');
    // INST and OBJ of protocol 0 and 1, and EXT1.
    for (const pickle of ['(ios\nsystem\n.', '(cos\nsystem\no.', '\x82\x01.'])
      expect(await readAll(withPickle(Buffer.from(pickle, 'latin1')))).toMatch(/opcodes|"os\.system"/);
    // A callable as a value, and a call of what is none.
    for (const pickle of ['ccollections\nOrderedDict\n.', 'K\x01)R.', 'ctorch\nFloatStorage\n)R.'])
      expect(await readAll(withPickle(Buffer.from(pickle, 'latin1')))).toContain('Cannot');
  });

  it('refuses tensors that reach beyond their storage', async () => {
    const four = floatStorage([1, 2, 3, 4]);
    for (const tensor of [
      new WrittenTensor(four, [5]),
      new WrittenTensor(four, [2, 2], [4, 1]),
      new WrittenTensor(four, [2], [1], 3),
      new WrittenTensor(four, [2 ** 30, 2 ** 30], [2 ** 30, 1]),
      new WrittenTensor({ ...four, length: 2 ** 30 }, [2 ** 30]),
    ]) {
      const file = await readStateDict(writeTorchFile(new Map([['a', tensor]])), 'w.pth').catch(
        (e: unknown) => e,
      );
      if (file instanceof UserError) continue;
      // Only the storage's length is a lie: that shows when it is read, before memory is taken.
      expect(() => (file as Awaited<ReturnType<typeof readStateDict>>).get('a')!.read()).toThrow(UserError);
    }
  });

  it('does not unpack what states a wrong or an enormous size', async () => {
    const some = Buffer.alloc(1000);
    const deflated = (name: string): ZipPart => ({ name, bytes: some, deflate: true });
    expect(await readAll(writeZip([deflated('a/data.pkl')]))).toContain(
      'must be stored as it is: it is packed',
    );
    const huge = stateSize(writeZip([{ name: 'a/data.pkl', bytes: some }]), 'a/data.pkl', 2 ** 27);
    expect(await readAll(huge)).toMatch(/must have 33554432 bytes at most|must be a whole zip archive/);

    // All packed storages together have a limit: the second would have fitted without the first.
    const tensors = [1, 2].map((x) => new WrittenTensor(floatStorage([x]), [1]));
    const parts = torchParts(new Map(tensors.map((tensor, i) => [`t${i}`, tensor])));
    const packed = parts.map((part) => (part.name.includes('/data/') ? deflated(part.name) : part));
    const liar = await readStateDict(stateSize(writeZip(packed), 'archive/data/0', 16), 'w.pth');
    expect(() => liar.get('t0')!.read()).toThrow('must unpack to 16 bytes');
    const file = await readStateDict(stateSize(writeZip(packed), 'archive/data/1', 2 ** 28), 'w.pth');
    expect(file.get('t0')!.read().data).toHaveLength(1);
    expect(() => file.get('t1')!.read()).toThrow('bytes at most');
  });

  it('does not copy a list as often as a pickle says', async () => {
    // A memoised list of pairs, made an OrderedDict of over and over: quadratic if it were done.
    const pair = Buffer.from(']K\x01aK\x02a', 'latin1');
    const list = Buffer.concat([
      Buffer.from('](', 'latin1'),
      ...Array.from({ length: 2000 }, () => pair),
      Buffer.from('eq\x00', 'latin1'),
    ]);
    const call = Buffer.from('ccollections\nOrderedDict\nq\x01', 'latin1');
    const again = Buffer.from('h\x01h\x00\x85R', 'latin1');
    const pickle = Buffer.concat([
      list,
      call,
      ...Array.from({ length: 20000 }, () => again),
      Buffer.from('.'),
    ]);
    expect(await readAll(withPickle(pickle))).toContain('one OrderedDict');
  });

  /** `count` times `piece`, and an end. */
  const repeated = (start: string, piece: string, count: number): Buffer =>
    Buffer.from(`${start}${piece.repeat(count)}.`, 'latin1');

  it.each([
    ['dicts', '', '}'],
    ['lists', '', ']'],
    ['tuples in tuples', ')', '\x85'],
    ['OrderedDicts', 'ccollections\nOrderedDict\nq\x00', 'h\x00)R'],
  ])('holds objects in proportion to the pickle only: %s', async (_, start, piece) => {
    expect(await readAll(withPickle(repeated(start, piece, 50_000)))).toMatch(
      /must hold at most \d+ lists, dicts and tensors/,
    );
  });

  it('nests in proportion, and numbers what it remembers in order', async () => {
    expect(await readAll(withPickle(repeated('', '(', 5000)))).toContain('must nest at most 1000 deep');
    expect(await readAll(withPickle(Buffer.from('K\x01r\x00\x00\x00\x40.', 'latin1')))).toContain(
      'must number its entries in order: entry 1073741824 follows 0',
    );
  });

  it('keeps no entry of a dict whose key is no text: such keys can be chosen to collide', () => {
    const key = Buffer.alloc(5);
    const entries = Array.from({ length: 60_000 }, (_, i) => {
      key.write('J', 'latin1');
      key.writeInt32LE((i * 2 ** 16) | 0, 1);
      return Buffer.concat([key, Buffer.from('N')]);
    });
    const text = Buffer.from('X\x01\x00\x00\x00a', 'latin1');
    const dict = Buffer.concat([Buffer.from('}('), ...entries, text, Buffer.from('K\x07u.', 'latin1')]);
    const value = unpickle(new ByteReader(dict, 'w.pth'), torchMeaning('w.pth', new Map()));
    expect(value).toEqual(new Map([['a', 7]]));
  });

  it('survives lists and dicts that contain themselves', async () => {
    for (const pickle of [']q\x00h\x00a.', '}q\x00X\x0a\x00\x00\x00state_dicth\x00s.'])
      expect(await readAll(withPickle(Buffer.from(pickle, 'latin1')))).toContain('Cannot use w.pth');
  });

  it('reads or refuses files with any bytes changed', { timeout: 120_000 }, async () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(zip, legacy), changes, async (file, list) => {
        const bytes = Buffer.from(file);
        for (const [at, value] of list) bytes[at % bytes.length] = value;
        await readAll(bytes);
      }),
      { numRuns: 1500 },
    );
  });

  it('reads or refuses pickles with any bytes changed (checksums fitting)', async () => {
    const pickle = torchParts(state)[0]!.bytes;
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const bytes = Buffer.from(pickle);
        for (const [at, value] of list) bytes[at % bytes.length] = value;
        await readAll(withPickle(bytes));
      }),
      { numRuns: 1500 },
    );
  });

  it('refuses files that are cut off anywhere', async () => {
    for (const file of [zip, legacy]) {
      for (let length = 0; length < file.length; length += 7)
        expect(await readAll(file.subarray(0, length))).toContain('Cannot');
    }
  });

  it('reads or refuses random opcodes', async () => {
    const opcodes = Buffer.from(
      '().GJKMNQRUX]aebchjqrstu}\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95',
      'latin1',
    );
    const op = fc.oneof(
      { weight: 3, arbitrary: fc.nat(opcodes.length - 1).map((i) => opcodes.subarray(i, i + 1)) },
      fc.constantFrom(
        Buffer.from('ccollections\nOrderedDict\n'),
        Buffer.from('ctorch\nFloatStorage\n'),
        Buffer.from('ctorch._utils\n_rebuild_tensor_v2\n'),
        Buffer.from('X\x07\x00\x00\x00storage', 'latin1'),
        Buffer.from('K\x02', 'latin1'),
      ),
      fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 60 }), async (ops) => {
        await readAll(withPickle(Buffer.concat([...ops, Buffer.from('.')])));
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('hello, this is no checkpoint')],
    ['a bare pickle', Buffer.from('80027d2e', 'hex')],
    ['an empty zip archive', writeZip([])],
  ])('refuses %s', async (_, bytes) => {
    expect(await readAll(bytes)).toContain('Cannot read w.pth');
  });
});
