import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureModels, type ModelToMeasure } from '../../src/device/measure.js';
import { measurementSchema, type LatencyMeasurement } from '../../src/device/measurement.js';
import { loadDevice } from '../../src/device/profile.js';
import { nullModel, blockModel } from '../../src/device/referenceModels.js';
import { connectDevice } from '../../src/device/transports.js';
import { InterruptedError } from '../../src/util/errors.js';
import { briefProtocol as brief } from '../support/briefProtocol.js';
import { endlessModel } from '../support/smallModels.js';

const hasTaskset = spawnSync('taskset', ['-c', '0', 'true']).status === 0;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-device-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('a local process', () => {
  it('measures models from bytes, a file and a function with one and two threads; a broken one fails alone', async () => {
    const path = join(folder, 'model.onnx');
    await writeFile(path, blockModel());
    const models: ModelToMeasure[] = [
      { id: 'bytes', onnx: blockModel() },
      { id: 'broken', onnx: new Uint8Array([1, 2, 3]) },
      { id: 'file', onnx: path },
      { id: 'function', onnx: nullModel },
    ];
    for (const name of ['local-cpu', 'local-cpu-2t']) {
      const order: string[] = [];
      const failures: string[] = [];
      const results = await measureModels(await loadDevice(name), models, brief, {
        onResult: (id) => void order.push(id),
        onFailure: (id, reason) => void failures.push(`${id}: ${reason}`),
      });
      expect([...results.keys()].sort()).toEqual(['bytes', 'file', 'function']);
      expect(order).toEqual([...results.keys()]);
      expect(failures).toHaveLength(1);
      expect(failures[0]).toMatch(/^broken: .*protobuf/);
      for (const measurement of results.values()) {
        expect(measurementSchema.parse(measurement).latencyMs).toBeGreaterThan(0);
        expect(measurement).toMatchObject({ rounds: 2, p90Ms: null });
        expect(measurement.samples).toBeGreaterThanOrEqual(6);
        expect(measurement.cpuPerWall).toBeGreaterThan(0);
      }
      // Work costs more than none.
      expect(results.get('bytes')!.latencyMs).toBeGreaterThan(results.get('function')!.latencyMs);
    }
  });

  it('replaces a process that hangs, and goes on with the others', async () => {
    const failures = new Map<string, string>();
    const results = await measureModels(
      await loadDevice('local-cpu'),
      [
        { id: 'before', onnx: nullModel },
        { id: 'endless', onnx: endlessModel },
        { id: 'after', onnx: nullModel },
      ],
      { ...brief, timeoutMs: 3000 },
      { onFailure: (id, reason) => void failures.set(id, reason) },
    );
    expect([...results.keys()].sort()).toEqual(['after', 'before']);
    expect(Object.fromEntries(failures)).toEqual({ endless: 'it gave no sign of life for 3 s' });
  });

  it('hands over what is finished before it is interrupted', async () => {
    const controller = new AbortController();
    const kept = new Map<string, LatencyMeasurement>();
    const models = Array.from({ length: 6 }, (_, i) => ({ id: `model ${i}`, onnx: nullModel() }));
    await expect(
      measureModels(
        await loadDevice('local-cpu'),
        models,
        { ...brief, interleave: 2 },
        {
          signal: controller.signal,
          onResult: (id, measurement) => {
            kept.set(id, measurement);
            if (kept.size === 3) controller.abort();
          },
        },
      ),
    ).rejects.toThrow(InterruptedError);
    expect(kept.size).toBeGreaterThanOrEqual(3);
    expect(kept.size).toBeLessThan(6);
  });

  it('refuses a provider that is not there, with the reason', async () => {
    const profile = { ...(await loadDevice('local-cpu')), provider: { name: 'xnnpack', options: {} } };
    await expect(measureModels(profile, [{ id: 'a', onnx: nullModel() }], brief)).rejects.toThrow(
      /Unknown execution provider "xnnpack": known are .*webgpu/,
    );
  });

  it('binds to processors where it can, and records where it cannot', async () => {
    const profile = await loadDevice('local-cpu');
    const impossible = await connectDevice({ ...profile, pin: [4095] });
    expect(impossible.fingerprint.settings.pin).toBeNull();
    const results = await measureModels({ ...profile, pin: [0] }, [{ id: 'a', onnx: nullModel() }], brief);
    expect(results.size).toBe(1);
  });

  it.skipIf(!hasTaskset)(
    'counts its own time beside busy processes on its processor, and says that they were there',
    async () => {
      const busy = Array.from({ length: 3 }, () =>
        spawn('taskset', ['-c', '0', process.execPath, '-e', 'for (;;);'], { stdio: 'ignore' }),
      );
      try {
        await Promise.all(busy.map((child) => once(child, 'spawn')));
        const profile = { ...(await loadDevice('local-cpu')), pin: [0] };
        // Longer than any turn that the system gives a process: none of the samples runs through.
        const protocol = { ...brief, sample: { ...brief.sample, minMs: 30 } };
        const results = await measureModels(profile, [{ id: 'a', onnx: blockModel() }], protocol);
        const { flags, cpuPerWall, latencyMs, rawMs, otherLoad } = results.get('a')!;
        // Three quarters of this processor, of all that there are.
        expect(otherLoad).toBeGreaterThan(0.5 / cpus().length);
        expect(flags).toContain('contention');
        expect(cpuPerWall).toBeLessThan(0.9);
        expect(latencyMs).toBeLessThan(0.9 * rawMs);
      } finally {
        for (const child of busy) child.kill('SIGKILL');
      }
    },
  );
});
