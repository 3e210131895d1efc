/** What every transport must do, whatever is behind it. */
import onnxProto from 'onnx-proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deviceKey, modelHash } from '../../src/device/fingerprint.js';
import { measureModels } from '../../src/device/measure.js';
import { measurementSchema } from '../../src/device/measurement.js';
import { runtimeSettings, type DeviceProfile } from '../../src/device/profile.js';
import { nullModel, blockModel } from '../../src/device/referenceModels.js';
import type { MeasureEvent, MeasureJob } from '../../src/device/transport.js';
import { connectDevice } from '../../src/device/transports.js';
import { UserError } from '../../src/util/errors.js';
import { briefProtocol } from '../support/briefProtocol.js';
import { endlessModel } from '../support/smallModels.js';
import { transportsUnderTest } from './support/transports.js';

const small = (): Uint8Array => blockModel(28);

/** A model of one operator that no runtime has. */
function unknownOperator(): Uint8Array {
  const model = onnxProto.onnx.ModelProto.decode(nullModel());
  model.graph!.node![0]!.opType = 'NoSuchOperator';
  return onnxProto.onnx.ModelProto.encode(model).finish();
}

function jobOf(profile: DeviceProfile, models: Readonly<Record<string, Uint8Array>>): MeasureJob {
  return {
    settings: runtimeSettings(profile),
    protocol: briefProtocol,
    seed: 1,
    models: Object.entries(models).map(([id, onnx]) => ({ id, hash: modelHash(onnx), onnx })),
  };
}

describe.each(transportsUnderTest)('transport $name', ({ start }) => {
  let profile: DeviceProfile;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    ({ profile, stop } = await start());
  });
  afterAll(() => stop());

  it('tells what the device is, the same each time, with the settings as asked', async () => {
    const connections = [await connectDevice(profile), await connectDevice(profile)];
    const [first, second] = connections.map(({ fingerprint }) => fingerprint);
    expect(deviceKey(first!)).toBe(deviceKey(second!));
    expect(first!.settings).toEqual(runtimeSettings(profile));
    for (const connection of connections) await connection.close();
  });

  it('carries a job: a step before each result, one outcome a model, "done" last; twice over one connection', async () => {
    const connection = await connectDevice(profile);
    try {
      for (const ids of [['a', 'copy of a', 'b'], ['a']]) {
        const events: MeasureEvent[] = [];
        const onnx = (id: string): Uint8Array => (id === 'b' ? nullModel() : small());
        const job = jobOf(profile, Object.fromEntries(ids.map((id) => [id, onnx(id)])));
        expect(await connection.run(job, (event) => void events.push(event), undefined)).toBeUndefined();
        const results = events.filter((event) => event.type === 'result');
        expect(results.map(({ id }) => id).sort()).toEqual([...ids].sort());
        for (const { measurement } of results) {
          expect(measurementSchema.parse(measurement).latencyMs).toBeGreaterThan(0);
          expect(measurement.rounds).toBe(briefProtocol.rounds.max);
        }
        for (const id of ids) {
          const about = events.filter((event) => 'id' in event && event.id === id).map(({ type }) => type);
          expect([about.at(0), about.at(-1)]).toEqual(['step', 'result']);
        }
        expect(events.map(({ type }) => type).indexOf('done')).toBe(events.length - 1);
      }
    } finally {
      await connection.close();
    }
  });

  it('goes on where a model is damaged, or has an operator that the runtime lacks', async () => {
    const failures = new Map<string, string>();
    const results = await measureModels(
      profile,
      [
        { id: 'damaged', onnx: new Uint8Array([1, 2, 3]) },
        { id: 'cut off', onnx: small().slice(0, 2000) },
        { id: 'unknown operator', onnx: unknownOperator() },
        { id: 'sound', onnx: small() },
      ],
      briefProtocol,
      { onFailure: (id, reason) => void failures.set(id, reason) },
    );
    expect([...results.keys()]).toEqual(['sound']);
    expect([...failures.keys()].sort()).toEqual(['cut off', 'damaged', 'unknown operator']);
    expect(failures.get('unknown operator')).toMatch(/NoSuchOperator/);
  });

  it('names the model that never ends, and measures the others', async () => {
    const failures = new Map<string, string>();
    const results = await measureModels(
      profile,
      [
        { id: 'before', onnx: nullModel },
        { id: 'endless', onnx: endlessModel() },
        { id: 'after', onnx: small },
      ],
      { ...briefProtocol, timeoutMs: 2500 },
      { onFailure: (id, reason) => void failures.set(id, reason) },
    );
    expect([...results.keys()].sort()).toEqual(['after', 'before']);
    expect(Object.fromEntries(failures)).toEqual({ endless: 'it gave no sign of life for 2.5 s' });
  });

  it('stops when it is told to, keeps what it has told, and can be used again', async () => {
    const connection = await connectDevice(profile);
    try {
      const controller = new AbortController();
      const results: string[] = [];
      const models = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`model ${i}`, nullModel()]));
      const lost = await connection.run(
        jobOf(profile, models),
        (event) => {
          if (event.type !== 'result') return;
          results.push(event.id);
          controller.abort();
        },
        controller.signal,
      );
      // Results that were on their way when it was stopped may be told or not.
      expect(results.length).toBeGreaterThan(0);
      if (results.length < 8) expect(lost).toBe('it was stopped');

      const again: MeasureEvent[] = [];
      const job = jobOf(profile, { again: nullModel() });
      expect(await connection.run(job, (event) => void again.push(event), AbortSignal.abort())).toBe(
        'it was stopped',
      );
      expect(again).toEqual([]);
      expect(await connection.run(job, (event) => void again.push(event), undefined)).toBeUndefined();
      expect(again.at(-1)).toEqual({ type: 'done' });
    } finally {
      await connection.close();
    }
  });

  it('serves two at the same time, each with its own results', async () => {
    const connections = [await connectDevice(profile), await connectDevice(profile)];
    const told = await Promise.all(
      connections.map(async (connection, i) => {
        const ids: string[] = [];
        const models = { [`${i} small`]: small(), [`${i} empty`]: nullModel() };
        const lost = await connection.run(
          jobOf(profile, models),
          (event) => {
            if (event.type === 'result') ids.push(event.id);
          },
          undefined,
        );
        await connection.close();
        return { lost, ids: ids.sort() };
      }),
    );
    expect(told).toEqual([0, 1].map((i) => ({ lost: undefined, ids: [`${i} empty`, `${i} small`] })));
  });

  it('refuses what it cannot do, before it measures', async () => {
    const refusals: readonly [Partial<DeviceProfile>, RegExp][] = [
      [{ transport: { ...profile.transport, speed: 'high' } }, /key "transport".*speed/],
      [{ provider: { name: 'nosuch', options: {} } }, /nosuch/],
      [{ precision: 'int8' }, /int8/],
      [
        { identity: { cpu: 'another', cores: 4096 } },
        /it is not the one in its profile: cpu ".*" instead of "another", cores/,
      ],
    ];
    for (const [change, message] of refusals) {
      const connecting = connectDevice({ ...profile, ...change });
      await expect(connecting).rejects.toThrow(UserError);
      await expect(connecting).rejects.toThrow(message);
    }
  });

  it('accepts the device that the profile recorded', async () => {
    const connection = await connectDevice(profile);
    const { settings: _, ...identity } = connection.fingerprint;
    await connection.close();
    await (await connectDevice({ ...profile, identity })).close();
  });
});
