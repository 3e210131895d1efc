/**
 * Reads Python pickles as data. A pickle is a program for a stack machine that may call anything Python can import; here
 * nothing is ever called: the few names that state dicts of PyTorch need stand for plain values, and any other is refused
 * by its name. Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py; which names suffice:
 * `torch/_weights_only_unpickler.py` of PyTorch. Files may come from anywhere: the result is a value or a UserError, and time
 * and memory stay proportional to the pickle's length.
 */
import type { ByteReader } from './byteReader.js';

/**
 * What a pickle may hold: lists and tuples are arrays, dicts and OrderedDicts maps. Lists may contain themselves. Maps have the
 * entries whose keys are texts: those of a state dict are, and others (an optimiser numbers its tensors) mean nothing here and
 * could be chosen to collide.
 */
export type PickleValue<T> =
  null | boolean | number | bigint | string | T | readonly PickleValue<T>[] | PickleMap<T>;
export type PickleMap<T> = ReadonlyMap<string, PickleValue<T>>;

/** What a pickle's names and persistent ids mean. */
export interface PickleMeaning<T> {
  /** A name that is a value by itself, or undefined: then it is refused, unless `calls` has it. */
  constant(name: string): T | undefined;
  /** Functions by name; they see arguments that may be anything, and throw UserError for those that do not fit. */
  readonly calls: ReadonlyMap<string, (args: readonly PickleValue<T>[]) => PickleValue<T>>;
  /** What stands outside of the pickle, by its id. */
  persistent(id: PickleValue<T>): T;
}

/** Characters of a name that a message shows. */
const LONGEST_NAME = 200;
/** Marks that are open at a time: each is a level of nesting. */
const MOST_MARKS = 1000;
/** Objects of any pickle, whatever its length; a tensor takes six. */
const MOST_OBJECTS = 2_000_000;
/** Bytes of a pickle for each object, and objects that any may have: PyTorch writes ten bytes and more for one. */
const BYTES_PER_OBJECT = 4;
const SPARE_OBJECTS = 1000;
/** Python numbers what it remembers in order, from 0 or 1. */
const MOST_HOLES = 16;
const ORDERED_DICT = 'collections.OrderedDict';

/** A name that the pickle may call; never leaves this file. */
class Callable {
  constructor(readonly name: string) {}
}
type Item<T> = PickleValue<T> | Callable;

/** Opcodes and their names in pickletools; those that no state dict needs are known by number only. */
const OP = {
  mark: 0x28,
  emptyTuple: 0x29,
  stop: 0x2e,
  binFloat: 0x47,
  binInt: 0x4a,
  binInt1: 0x4b,
  binInt2: 0x4d,
  none: 0x4e,
  binPersId: 0x51,
  reduce: 0x52,
  binString: 0x54,
  shortBinString: 0x55,
  binUnicode: 0x58,
  emptyList: 0x5d,
  append: 0x61,
  build: 0x62,
  global: 0x63,
  appends: 0x65,
  binGet: 0x68,
  longBinGet: 0x6a,
  binPut: 0x71,
  longBinPut: 0x72,
  setItem: 0x73,
  tuple: 0x74,
  setItems: 0x75,
  emptyDict: 0x7d,
  proto: 0x80,
  tuple1: 0x85,
  tuple2: 0x86,
  tuple3: 0x87,
  newTrue: 0x88,
  newFalse: 0x89,
  long1: 0x8a,
  shortBinUnicode: 0x8c,
  stackGlobal: 0x93,
  memoize: 0x94,
  frame: 0x95,
} as const;

/** Reads one pickle at the reader's position, and leaves the reader behind it. */
export function unpickle<T extends object>(reader: ByteReader, meaning: PickleMeaning<T>): PickleValue<T> {
  return new Unpickler(reader, meaning).load();
}

class Unpickler<T extends object> {
  private stack: Item<T>[] = [];
  /** Stacks below each open mark. */
  private readonly below: Item<T>[][] = [];
  /** By number, in the order in which writers count them. */
  private readonly memo: Item<T>[] = [];
  private objects = 0;
  private readonly mostObjects: number;
  /** Pairs that OrderedDicts were made of: a list may be used many times, which takes the pickle few bytes only. */
  private pairs = 0;

  constructor(
    private readonly reader: ByteReader,
    private readonly meaning: PickleMeaning<T>,
  ) {
    this.mostObjects = Math.min(MOST_OBJECTS, SPARE_OBJECTS + reader.length / BYTES_PER_OBJECT);
  }

  load(): PickleValue<T> {
    for (;;) {
      const op = this.reader.uint8();
      if (op === OP.stop) return this.popValue();
      this.step(op);
    }
  }

  private fail(wanted: string, current: string): never {
    return this.reader.fail(wanted, current);
  }

  private pop(): Item<T> {
    const item = this.stack.pop();
    return item === undefined
      ? this.fail('its pickle must hold what its opcodes take', 'a value is missing')
      : item;
  }

  private popValue(): PickleValue<T> {
    return this.value(this.pop());
  }

  private value(item: Item<T>): PickleValue<T> {
    if (item instanceof Callable) return this.refuse(item.name);
    return item;
  }

  /** Values since the last mark. */
  private popMark(): PickleValue<T>[] {
    const values = this.stack.map((item) => this.value(item));
    this.stack =
      this.below.pop() ?? this.fail('its pickle must hold what its opcodes take', 'a mark is missing');
    return values;
  }

  private push(item: Item<T>): void {
    this.stack.push(item);
  }

  /** What takes memory of its own: lists, dicts, tensors. */
  private pushObject(item: Item<T>): void {
    if (++this.objects > this.mostObjects)
      this.fail(
        `its pickle must hold at most ${Math.floor(this.mostObjects)} lists, dicts and tensors`,
        'it holds more',
      );
    this.push(item);
  }

  private remember(key: number): void {
    const top = this.stack[this.stack.length - 1];
    if (top === undefined)
      return this.fail('its pickle must hold what its opcodes take', 'a value is missing');
    if (key > this.memo.length + MOST_HOLES)
      return this.fail(
        'its pickle must number its entries in order',
        `entry ${key} follows ${this.memo.length}`,
      );
    this.memo[key] = top;
  }

  private recall(key: number): void {
    const item = this.memo[key];
    if (item === undefined) this.fail('its pickle must refer to what it holds', `there is no entry ${key}`);
    else this.push(item);
  }

  private popTuple(length: number): void {
    const values: PickleValue<T>[] = [];
    for (let i = 0; i < length; i++) values.unshift(this.popValue());
    this.pushObject(values);
  }

  private list(): PickleValue<T>[] {
    const top = this.stack[this.stack.length - 1];
    return Array.isArray(top)
      ? (top as PickleValue<T>[])
      : this.fail('its pickle must append to lists', 'it does not');
  }

  private setItems(pairs: readonly PickleValue<T>[]): void {
    const top = this.stack[this.stack.length - 1];
    if (!(top instanceof Map)) this.fail('its pickle must set items of dicts', 'it does not');
    else
      for (let i = 0; i + 1 < pairs.length; i += 2) {
        const key = pairs[i];
        if (typeof key === 'string') (top as Map<string, unknown>).set(key, pairs[i + 1]);
      }
  }

  /** A name: what it stands for, or something that only `reduce` takes. */
  private global(name: string): void {
    const constant = this.meaning.constant(name);
    if (constant !== undefined) this.push(constant);
    else if (name === ORDERED_DICT || this.meaning.calls.has(name)) this.push(new Callable(name));
    else this.refuse(name);
  }

  private refuse(name: string): never {
    return this.fail(
      'only tensors, dicts, lists, tuples, numbers and strings are read, as anything else would run code of the file',
      `it asks Python for ${JSON.stringify(name.slice(0, LONGEST_NAME))}; save the state dict alone: torch.save({"state_dict": model.state_dict()}, path)`,
    );
  }

  private reduce(): void {
    const args = this.popValue();
    const callee = this.pop();
    if (!(callee instanceof Callable) || !Array.isArray(args)) {
      this.fail('its pickle must call functions by name with a tuple', 'it does not');
    }
    const { name } = callee;
    if (name === ORDERED_DICT) this.pushObject(this.orderedDict(args as PickleValue<T>[]));
    else this.pushObject(this.meaning.calls.get(name)!(args as PickleValue<T>[]));
  }

  /** Python 2 gives an OrderedDict its items at once, as a list of pairs. */
  private orderedDict(args: readonly PickleValue<T>[]): PickleMap<T> {
    const map = new Map<string, PickleValue<T>>();
    const pairs = args[0] ?? [];
    if (args.length > 1 || !Array.isArray(pairs)) this.fail('an OrderedDict is made of pairs', 'it is not');
    this.pairs += pairs.length;
    if (this.pairs > this.reader.length) this.fail('a list makes one OrderedDict', 'it makes many');
    for (const pair of pairs as PickleValue<T>[]) {
      if (!Array.isArray(pair) || pair.length !== 2)
        this.fail('an OrderedDict is made of pairs', 'it is not');
      else if (typeof pair[0] === 'string') map.set(pair[0], pair[1] as PickleValue<T>);
    }
    return map;
  }

  private text(length: number, encoding: 'utf8' | 'latin1'): void {
    this.push(this.reader.text(length, encoding));
  }

  private step(op: number): void {
    const { reader } = this;
    switch (op) {
      case OP.proto: {
        const version = reader.uint8();
        if (version > 5) this.fail('its pickle must be of protocol 5 at most', `it is of ${version}`);
        return;
      }
      case OP.frame:
        return reader.skip(8);
      case OP.mark:
        if (this.below.length >= MOST_MARKS)
          this.fail(`its pickle must nest at most ${MOST_MARKS} deep`, 'it nests deeper');
        this.below.push(this.stack);
        this.stack = [];
        return;
      case OP.none:
        return this.push(null);
      case OP.newTrue:
        return this.push(true);
      case OP.newFalse:
        return this.push(false);
      case OP.binInt:
        return this.push(reader.int32());
      case OP.binInt1:
        return this.push(reader.uint8());
      case OP.binInt2:
        return this.push(reader.uint16());
      case OP.long1:
        return this.push(plainInteger(reader.bigInt(reader.uint8())));
      case OP.binFloat:
        return this.push(reader.float64BigEndian());
      case OP.binUnicode:
        return this.text(reader.uint32(), 'utf8');
      case OP.shortBinUnicode:
        return this.text(reader.uint8(), 'utf8');
      case OP.binString:
        return this.text(reader.uint32(), 'latin1');
      case OP.shortBinString:
        return this.text(reader.uint8(), 'latin1');
      case OP.emptyTuple:
      case OP.emptyList:
        return this.pushObject([]);
      case OP.emptyDict:
        return this.pushObject(new Map());
      case OP.tuple:
        return this.pushObject(this.popMark());
      case OP.tuple1:
        return this.popTuple(1);
      case OP.tuple2:
        return this.popTuple(2);
      case OP.tuple3:
        return this.popTuple(3);
      case OP.append: {
        const value = this.popValue();
        this.list().push(value);
        return;
      }
      case OP.appends: {
        const values = this.popMark();
        const list = this.list();
        for (const value of values) list.push(value);
        return;
      }
      case OP.setItem: {
        const value = this.popValue();
        return this.setItems([this.popValue(), value]);
      }
      case OP.setItems:
        return this.setItems(this.popMark());
      case OP.binGet:
        return this.recall(reader.uint8());
      case OP.longBinGet:
        return this.recall(reader.uint32());
      case OP.binPut:
        return this.remember(reader.uint8());
      case OP.longBinPut:
        return this.remember(reader.uint32());
      case OP.memoize:
        return this.remember(this.memo.length);
      case OP.global:
        return this.global(`${reader.line()}.${reader.line()}`);
      case OP.stackGlobal: {
        const [name, module] = [this.popValue(), this.popValue()];
        if (typeof name !== 'string' || typeof module !== 'string')
          this.fail('its pickle must name globals by strings', 'it does not');
        return this.global(`${module}.${name}`);
      }
      case OP.reduce:
        return this.reduce();
      case OP.build:
        // Attributes of an OrderedDict (state dicts have "_metadata"): nothing that weights need.
        this.popValue();
        if (!(this.stack[this.stack.length - 1] instanceof Map))
          this.fail('its pickle must give attributes to dicts only', 'it gives them to something else');
        return;
      case OP.binPersId:
        return this.pushObject(this.meaning.persistent(this.popValue()));
      default:
        this.fail(
          'its pickle must use the opcodes of a state dict',
          `at byte ${reader.position - 1} there is 0x${op.toString(16).padStart(2, '0')}`,
        );
    }
  }
}

function plainInteger(value: bigint): number | bigint {
  const plain = Number(value);
  return Number.isSafeInteger(plain) ? plain : value;
}

/** Whether a value is a dict. */
export function isDict<T>(value: PickleValue<T>): value is PickleMap<T> {
  return value instanceof Map;
}
