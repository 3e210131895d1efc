/** A device whose truth is known: the "models" are their own run time, measured by replay. */
import { localFingerprint } from '../../src/device/fingerprint.js';
import { loadDevice, runtimeSettings, type DeviceProfile } from '../../src/device/profile.js';
import type { DeviceConnection } from '../../src/device/transport.js';
import type { FillRequest } from '../../src/latency/fill.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { blockCosts } from '../../src/space/costs.js';
import type { BlockSpec } from '../../src/space/network.js';
import { loadSpace } from '../../src/space/presets.js';
import type { SearchSpace } from '../../src/space/space.js';
import { createRandom } from '../../src/util/random.js';
import { plainProtocol, replay, ReplayBench } from '../device/replay.js';

export const profile: DeviceProfile = await loadDevice('local-cpu');
export const tiny: SearchSpace = await loadSpace('mbv3-tiny');

/** No simple function of MACs: small maps are dearer a MAC. */
export function blockTruthMs(block: BlockSpec): number {
  const { macs } = blockCosts(block);
  return 0.01 + (macs / 1e6) * (1 + 8 / block.output.height);
}

/** Off the sum by an amount, a share, and noise of `noise` (standard deviation, relative). */
export function networkTruthMs(space: SearchSpace, arch: Architecture, noise: number): number {
  const sum = space.network(arch).blocks.reduce((total, block) => total + blockTruthMs(block), 0);
  const random = createRandom('network noise', architectureKey(space.genes, arch));
  return (0.08 + 0.85 * sum) * (1 + noise * random.normal());
}

/**
 * A device of another kind for every `seed`: what calls, arithmetic, small maps, channels and kernels of 5 cost differs, and
 * so does how much of it is done side by side. In ms.
 */
export function madeUpDevice(space: SearchSpace, seed: number): (arch: Architecture) => number {
  const random = createRandom('made-up device', seed);
  const draw = (from: number, to: number): number => from + (to - from) * random.float();
  const [base, call, speed, small, channel, large, power] = [
    draw(0, 0.05),
    draw(0.005, 0.035),
    draw(0.5, 1.5),
    draw(0, 12),
    draw(0, 2e-5),
    draw(0.005, 0.02),
    draw(0.6, 1),
  ];
  const blockMs = (block: BlockSpec): number =>
    call +
    speed * (blockCosts(block).macs / 1e6) ** power * (1 + small / block.output.height) +
    channel * block.output.channels +
    (block.key.includes('k5') ? large : 0);
  return (arch) => space.network(arch).blocks.reduce((total, block) => total + blockMs(block), base);
}

export const encode = (latencyMs: number): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ latencyMs }));

/**
 * Measures what `encode` wrote; ids in `broken` fail; counts what it measured. `slowness`: how many times longer all takes,
 * by how many models were measured before.
 */
export function truthfulDevice(
  broken: ReadonlySet<string> = new Set(),
  slowness: (measured: number) => number = () => 1,
): DeviceConnection & { measured: string[] } {
  const measured: string[] = [];
  return {
    measured,
    fingerprint: localFingerprint(runtimeSettings(profile)),
    async run(job, onEvent, signal) {
      for (const { id, onnx } of job.models) {
        if (signal?.aborted) return 'it was stopped';
        onEvent({ type: 'step', id, step: 'load' });
        if (broken.has(id)) {
          onEvent({ type: 'failed', id, reason: 'no kernel' });
          continue;
        }
        const { latencyMs } = JSON.parse(new TextDecoder().decode(onnx)) as { latencyMs: number };
        const slow = slowness(measured.length);
        const bench = new ReplayBench(new Map([[id, () => slow * latencyMs]]), () => 2 * slow);
        const protocol = plainProtocol({ round: { rewarmRuns: 0, minSamples: 1, minMs: 0, maxSamples: 1 } });
        const { results } = await replay(bench, [id], protocol);
        measured.push(id);
        onEvent({ type: 'result', id, measurement: results.get(id)! });
        // A device takes time: results arrive one by one.
        await new Promise((resolve) => setImmediate(resolve));
      }
      onEvent({ type: 'done' });
      return undefined;
    },
    close: () => Promise.resolve(),
  };
}

export function fillRequest(path: string, change: Partial<FillRequest> = {}): FillRequest {
  const space = change.space ?? tiny;
  return {
    path,
    space,
    device: profile,
    protocol: plainProtocol(),
    buildModel: (block) => encode(blockTruthMs(block)),
    buildNetwork: (arch) => encode(networkTruthMs(space, arch, 0.02)),
    imageSizes: [20],
    connection: truthfulDevice(),
    ...change,
  };
}
