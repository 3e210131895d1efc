import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import onnxProto from 'onnx-proto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ModelDamagedError,
  ModelRefusedError,
  ModelStore,
  ModelTooLargeError,
} from '../../../src/device/agent/models.js';
import { modelHash } from '../../../src/device/fingerprint.js';
import { blockModel } from '../../../src/device/referenceModels.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-models-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Models of about the same size and different content. */
function models(count: number): { hash: string; onnx: Uint8Array }[] {
  return Array.from({ length: count }, (_, i) => {
    const model = onnxProto.onnx.ModelProto.decode(blockModel(8));
    model.producerName = `model ${i}`;
    const onnx = onnxProto.onnx.ModelProto.encode(model).finish();
    return { hash: modelHash(onnx), onnx };
  });
}

/** The bytes in pieces, as a network brings them. */
function body(bytes: Uint8Array, piece = 1000): Readable {
  const pieces: Buffer[] = [];
  for (let i = 0; i < bytes.byteLength; i += piece) pieces.push(Buffer.from(bytes.slice(i, i + piece)));
  return Readable.from(pieces);
}

const limits = { maxModelBytes: 2 ** 20, storeBytes: 2 ** 26 };

describe('the models of an agent', () => {
  it('are there, as they were sent, also for the next agent', async () => {
    const [a, b] = models(2);
    const store = await ModelStore.open(folder, limits);
    let progress = 0;
    await store.receive(a!.hash, body(a!.onnx), () => progress++);
    expect(progress).toBeGreaterThan(5);
    expect([store.has(a!.hash), store.has(b!.hash)]).toEqual([true, false]);
    expect(Buffer.compare(await store.read(a!.hash), a!.onnx)).toBe(0);

    await writeFile(join(folder, 'incoming-7.tmp'), 'cut off by a kill');
    await writeFile(join(folder, 'notes.tmp'), "somebody else's");
    const next = await ModelStore.open(folder, limits);
    expect(Buffer.compare(await next.read(a!.hash), a!.onnx)).toBe(0);
    expect((await readdir(folder)).sort()).toEqual([`${a!.hash}.onnx`, 'notes.tmp'].sort());
  });

  it('are not believed where their content has changed, whatever was sent', async () => {
    const [plain, other] = models(2);
    // The same network in other bytes: a field that is not known is left out of what is stored.
    const unknown = Buffer.concat([plain!.onnx, Buffer.from([0xf8, 0x3f, 7])]);
    const sent = [other!, { hash: modelHash(unknown), onnx: unknown }];
    for (const { hash, onnx } of sent) {
      const store = await ModelStore.open(folder, limits);
      await store.receive(hash, body(onnx));
      const path = join(folder, `${hash}.onnx`);
      const understood = onnx === unknown ? plain!.onnx : onnx;
      expect(Buffer.compare(await store.read(hash), understood)).toBe(0);
      const stored = await readFile(path);
      for (const at of [0, 11, stored.length >> 1, stored.length - 1]) {
        const damaged = Buffer.from(stored);
        damaged[at] = damaged[at]! ^ 4;
        await writeFile(path, damaged);
        const next = await ModelStore.open(folder, limits);
        await expect(next.read(hash)).rejects.toThrow(/Cannot read .*\.onnx: it is damaged/);
        expect(next.has(hash)).toBe(false);
        expect(await readdir(folder)).not.toContain(`${hash}.onnx`);
      }
    }
  });

  it('make room for others: those unused for longest go first, those that are held stay', async () => {
    const all = models(5);
    const size = Math.max(...all.map(({ onnx }) => onnx.byteLength));
    const room = { ...limits, storeBytes: Math.ceil(3.5 * size) };
    const store = await ModelStore.open(folder, room);
    const there = (): boolean[] => all.map(({ hash }) => store.has(hash));
    for (const { hash, onnx } of all.slice(0, 3)) await store.receive(hash, body(onnx));
    await store.read(all[0]!.hash);
    const release = store.hold([all[1]!.hash]);
    await store.receive(all[3]!.hash, body(all[3]!.onnx));
    expect(there()).toEqual([true, true, false, true, false]);
    const holdAll = store.hold(all.map(({ hash }) => hash));
    await expect(store.receive(all[4]!.hash, body(all[4]!.onnx))).rejects.toThrow(
      /at most \d+ bytes together/,
    );
    expect(there()).toEqual([true, true, false, true, false]);
    holdAll();
    release();
    await store.receive(all[4]!.hash, body(all[4]!.onnx));
    expect(there()).toEqual([true, false, false, true, true]);

    for (const [i, { hash }] of all.entries()) {
      if (store.has(hash)) await utimes(join(folder, `${hash}.onnx`), 1000 + i, 1000 + i);
    }
    const next = await ModelStore.open(folder, { ...room, storeBytes: Math.ceil(1.5 * size) });
    expect(all.map(({ hash }) => next.has(hash))).toEqual([false, false, false, false, true]);
    expect(await readdir(folder)).toEqual([`${all[4]!.hash}.onnx`]);
  });

  it('are refused where they are too large, damaged or no models; nothing of them stays', async () => {
    const store = await ModelStore.open(folder, limits);
    const [{ hash, onnx }] = models(1) as [{ hash: string; onnx: Uint8Array }];
    const large = randomBytes(limits.maxModelBytes + 1);
    await expect(store.receive(modelHash(large), body(large, 65536))).rejects.toThrow(ModelTooLargeError);
    await expect(store.receive(hash, body(onnx.slice(1)))).rejects.toThrow(ModelDamagedError);
    const noise = randomBytes(1000);
    await expect(store.receive(modelHash(noise), body(noise))).rejects.toThrow(ModelRefusedError);
    const cut = new Readable({ read: () => undefined });
    cut.push(Buffer.from(onnx.slice(0, 100)));
    const receiving = store.receive(hash, cut);
    cut.destroy(new Error('the connection broke'));
    await expect(receiving).rejects.toThrow('the connection broke');
    expect(store.has(hash)).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  // 20 MB of one-byte numbers, each of which becomes an object.
  it('are refused where reading them takes too much memory; the agent lives on', async () => {
    const numbers = Buffer.alloc(20_000_000, 1);
    const varint = (value: number): number[] =>
      value > 127 ? [(value % 128) | 128, ...varint(value >>> 7)] : [value];
    const field = (number: number, content: Buffer): Buffer =>
      Buffer.concat([Buffer.from([number * 8 + 2, ...varint(content.length)]), content]);
    // TensorProto.int64_data in GraphProto.initializer in ModelProto.graph.
    const bomb = field(7, field(5, field(7, numbers)));
    const store = await ModelStore.open(folder, { ...limits, maxModelBytes: 2 ** 26 });
    const hash = createHash('sha256').update(bomb).digest('hex');
    await expect(store.receive(hash, body(bomb, 2 ** 20))).rejects.toThrow(
      new ModelRefusedError('it needs too much memory to be read'),
    );
    const [{ hash: next, onnx }] = models(1) as [{ hash: string; onnx: Uint8Array }];
    await store.receive(next, body(onnx));
    expect(store.has(next)).toBe(true);
    expect(await readdir(folder)).toEqual([`${next}.onnx`]);
  });

  it('are no longer there where their file is gone or cut off', async () => {
    const store = await ModelStore.open(folder, limits);
    for (const { hash, onnx } of models(2)) {
      await store.receive(hash, body(onnx));
    }
    const [gone, cut] = models(2);
    await rm(join(folder, `${gone!.hash}.onnx`));
    await writeFile(join(folder, `${cut!.hash}.onnx`), 'short');
    for (const { hash } of [gone!, cut!]) {
      await expect(store.read(hash)).rejects.toThrow(/Cannot read .*\.onnx: /);
      expect(store.has(hash)).toBe(false);
    }
  });
});
