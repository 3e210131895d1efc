/** Batches, blame and restarts, with a device that dies on demand. */
import { describe, expect, it } from 'vitest';
import { measureOver, type ModelToMeasure } from '../../src/device/measure.js';
import { loadDevice } from '../../src/device/profile.js';
import {
  fingerprintDifferences,
  deviceKey,
  localFingerprint,
  modelHash,
} from '../../src/device/fingerprint.js';
import { runtimeSettings, deviceNames } from '../../src/device/profile.js';
import { protocolByName } from '../../src/device/protocol.js';
import type { DeviceConnection, MeasureJob } from '../../src/device/transport.js';
import { UserError } from '../../src/util/errors.js';
import { plainProtocol, replay, ReplayBench } from './replay.js';

const profile = await loadDevice('local-cpu');

/** Measures by replay; is lost when a model named in `deadly` is loaded. */
function fakeDevice(deadly: readonly string[], jobs: string[][]): DeviceConnection {
  return {
    fingerprint: localFingerprint(runtimeSettings(profile)),
    async run(job: MeasureJob, onEvent) {
      const ids = job.models.map(({ id }) => id);
      jobs.push(ids);
      for (const id of ids) {
        onEvent({ type: 'step', id, step: 'load' });
        if (deadly.includes(id)) return 'it was ended by SIGSEGV';
        const { results } = await replay(new ReplayBench(new Map([[id, () => 1]])), [id], plainProtocol());
        onEvent({ type: 'result', id, measurement: results.get(id)! });
      }
      onEvent({ type: 'done' });
      return undefined;
    },
    close: () => Promise.resolve(),
  };
}

const model = (id: string): ModelToMeasure => ({ id, onnx: new TextEncoder().encode(id) });

describe('measureOver', () => {
  it('blames the model during which the device was lost, and measures the others once', async () => {
    const jobs: string[][] = [];
    const failures: string[] = [];
    const models = ['a', 'b', 'c', 'd', 'e', 'f'].map(model);
    const protocol = { ...protocolByName('quick'), interleave: 4 };
    const results = await measureOver(fakeDevice(['b', 'c'], jobs), profile, models, protocol, {
      onFailure: (id, reason) => void failures.push(`${id}: ${reason}`),
    });
    expect([...results.keys()]).toEqual(['a', 'd', 'e', 'f']);
    expect(failures).toEqual(['b: it was ended by SIGSEGV', 'c: it was ended by SIGSEGV']);
    expect(jobs).toEqual([['a', 'b', 'c', 'd'], ['c', 'd'], ['d'], ['e', 'f']]);
  });

  it('gives up where a device is lost before it begins', async () => {
    const dead: DeviceConnection = {
      ...fakeDevice([], []),
      run: () => Promise.resolve('it ended with code 1'),
    };
    await expect(measureOver(dead, profile, [model('a')], protocolByName('quick'))).rejects.toThrow(
      new UserError('Cannot measure on device "local-cpu": it ended with code 1'),
    );
  });

  it('stops where results cannot be kept', async () => {
    const failing = measureOver(fakeDevice([], []), profile, [model('a')], protocolByName('quick'), {
      onResult: () => Promise.reject(new UserError('Cannot write t.json: the disk is full')),
    });
    await expect(failing).rejects.toThrow('the disk is full');
  });

  it('refuses ids that are not unique', async () => {
    const twice = measureOver(fakeDevice([], []), profile, [model('a'), model('a')], protocolByName('quick'));
    await expect(twice).rejects.toThrow(RangeError);
  });
});

describe('profiles and fingerprints', () => {
  it('ships profiles that load, and names them for an unknown one', async () => {
    expect(deviceNames()).toEqual(expect.arrayContaining(['local-cpu', 'local-cpu-2t']));
    for (const name of deviceNames()) expect((await loadDevice(name)).name).toBe(name);
    await expect(loadDevice('phone')).rejects.toThrow(/Unknown device "phone": known are .*local-cpu/);
    await expect(loadDevice('no/such.json')).rejects.toThrow(UserError);
  });

  it('hashes content, not the order of keys', () => {
    const settings = runtimeSettings(profile);
    const a = localFingerprint(settings);
    const reversed = Object.fromEntries(Object.entries(a).reverse()) as typeof a;
    expect(deviceKey(reversed)).toBe(deviceKey(a));
    const other = localFingerprint({ ...settings, threads: 2 });
    expect(deviceKey(other)).not.toBe(deviceKey(a));
    expect(fingerprintDifferences(a, other)).toEqual(['threads 1 instead of 2']);
    expect(fingerprintDifferences(a, reversed)).toEqual([]);
    expect(modelHash(new TextEncoder().encode('abc'))).toMatch(/^ba7816bf/);
  });
});
