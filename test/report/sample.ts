/** Reports to draw: a full one that resembles a real run, and the least one. */
import type { ReportData } from '../../src/report/data.js';
import { createRandom } from '../../src/util/random.js';

const DEVICES = [
  ['local-cpu', 1],
  ['phone', 6.3],
] as const;

/** As many as the space has. */
export const CLASSES = Array.from({ length: 10 }, (_, i) => `class ${'abcdefghij'[i]!}`);

const factorOf = (device: string): number => DEVICES.find(([name]) => name === device)![1];

function architecture(random: ReturnType<typeof createRandom>) {
  const pick = <T>(list: readonly T[]): T => list[random.int(list.length)]!;
  return {
    image_size: pick([24, 28, 32]),
    ks: Array.from({ length: 15 }, () => pick([3, 5, 7])),
    e: Array.from({ length: 15 }, () => pick([3, 4, 6])),
    d: Array.from({ length: 5 }, () => pick([1, 2, 3])),
  };
}

type File = ReturnType<typeof architecture>;

/** A cost that follows what costs: blocks in use, their kernels and expansion, and the image. */
function size({ image_size, ks, e, d }: File): number {
  let total = 4;
  e.forEach((expand, i) => {
    if (i % 3 < d[Math.floor(i / 3)]!) total += expand * (0.6 + 0.08 * ks[i]!);
  });
  return (total * image_size ** 1.5) / 181;
}

export function fullReport(): ReportData {
  const random = createRandom(7, 'report sample');
  const noise = (): number => random.float() + random.float() + random.float() - 1.5;
  const top1Of = (arch: File): number => Math.min(0.995, 0.992 - 0.9 / (size(arch) + 12) + 0.002 * noise());
  const subnets = DEVICES.flatMap(([device, factor]) =>
    Array.from({ length: 240 }, (_, i) => {
      const arch = architecture(random);
      return {
        architecture: arch,
        device,
        latencyMs: factor * 0.0062 * size(arch) * (1 + 0.05 * noise()),
        top1: top1Of(arch),
        kind: i < 160 ? ('measured' as const) : ('predicted' as const),
      };
    }),
  );
  const front = DEVICES.flatMap(([device]) => {
    let best = 0;
    return subnets
      .filter((subnet) => subnet.device === device)
      .sort((a, b) => a.latencyMs - b.latencyMs)
      .filter(({ top1 }) => top1 > best && (best = top1) > 0)
      .map(({ architecture, latencyMs, top1 }) => ({ device, architecture, latencyMs, top1: top1 + 0.0005 }));
  });
  const models = DEVICES.flatMap(([device]) => {
    const own = front.filter((point) => point.device === device);
    return [0.25, 0.5, 0.85].map((share, i) => {
      const point = own[Math.floor(share * own.length)]!;
      const measuredMs = point.latencyMs * (1 + 0.02 * noise());
      const maxLatencyMs = Number((point.latencyMs * (i === 2 ? 0.99 : 1.04)).toPrecision(2));
      return {
        device,
        maxLatencyMs,
        predictedMs: point.latencyMs,
        measuredMs,
        predictedTop1: point.top1,
        measuredTop1: point.top1 - 0.001,
        byClass: {
          count: CLASSES.map(() => 100),
          correct: CLASSES.map((_, label) => 100 - label),
          confused: CLASSES.slice(1).map((_, label): [number, number, number] => [label + 1, 0, label + 1]),
        },
        macs: Math.round(4e5 * size(point.architecture)),
        params: Math.round(2e4 * size(point.architecture)),
        file: `models/${device}-${maxLatencyMs}ms.onnx`,
        architecture: point.architecture,
        meetsLimit: measuredMs <= maxLatencyMs,
        finalists: [1.1, 1].map((factor) => ({
          architecture: point.architecture,
          predictedTop1: point.top1,
          validationTop1: point.top1 - 0.0003 * factor,
          predictedMs: point.latencyMs,
          measuredMs: factor * measuredMs,
          measuredAgainMs: factor === 1 ? measuredMs : null,
          meetsLimit: factor * measuredMs <= maxLatencyMs,
          chosen: factor === 1,
        })),
        onDevices: DEVICES.map(([name, speed]) => ({
          device: name,
          predictedMs: (point.latencyMs * speed) / factorOf(device),
          // The phone cannot run the largest that was chosen for the other.
          measuredMs:
            name === 'phone' && device !== name && i === 2 ? null : (measuredMs * speed) / factorOf(device),
        })),
        borrowed:
          device === 'phone' && i === 1
            ? {
                device: 'local-cpu',
                maxLatencyMs: 0.1,
                measuredMs: 1,
                validationTop1: 0.9,
                measuredTop1: 0.9,
              }
            : null,
      };
    });
  });
  const phases = [
    { name: 'teacher', startStep: 0 },
    { name: 'kernel', startStep: 1200 },
    { name: 'depth 1', startStep: 1900 },
    { name: 'depth 2', startStep: 2300 },
    { name: 'expand 1', startStep: 2900 },
    { name: 'expand 2', startStep: 3300 },
  ];
  return {
    title: 'ofakit quickstart',
    generatedBy: { version: '0.1.0', command: 'ofa quickstart --out out', date: '2026-01-02T03:04:05Z' },
    machine: {
      cpu: 'Example CPU 3000',
      cores: 8,
      os: 'Linux 6.1',
      node: 'node v22.1.0',
      runtime: 'onnxruntime-node 1.30.0',
    },
    origin: { kind: 'trained', from: 'progressive' },
    classNames: CLASSES,
    space: { name: 'mbv3-tiny', subnets: '21765391104729804300', imageSizes: [24, 28, 32], classes: 10 },
    dataset: { name: 'mnist', train: 8000, validation: 1000, test: 1000 },
    training: {
      phases,
      loss: Array.from({ length: 800 }, (_, i) => ({
        step: 5 * i,
        loss:
          0.1 +
          2.2 * Math.exp(-i / 60) +
          (i > 240 ? 0.25 * Math.exp(-(i - 240) / 80) : 0) +
          0.03 * (noise() + 1.5),
      })),
      validation: ['largest', 'smallest', 'd1-e3-k3-s24'].flatMap((subnet, s) =>
        Array.from({ length: 20 }, (_, i) => ({
          step: 200 * (i + 1),
          subnet,
          top1: 0.985 - 0.02 * s - 0.4 * Math.exp(-i / (2 + 2 * s)) + 0.002 * noise(),
        })),
      ),
    },
    accuracy: {
      kendallTau: 0.842,
      rmsePoints: 0.18,
      heldOut: 60,
      points: Array.from({ length: 60 }, () => {
        const measuredTop1 = top1Of(architecture(random));
        return { measuredTop1, predictedTop1: measuredTop1 + 0.0025 * noise() };
      }),
    },
    latency: DEVICES.map(([device, factor]) => ({
      device,
      mape: 2.9,
      within5Percent: 84.2,
      within10Percent: 98.3,
      kendallTau: 0.934,
      heldOut: 60,
      points: Array.from({ length: 60 }, () => {
        const measuredMs = factor * 0.0062 * size(architecture(random));
        return { measuredMs, predictedMs: measuredMs * (1 + 0.06 * noise()) };
      }),
      histogramMs: Array.from({ length: 500 }, () => factor * 0.0062 * size(architecture(random))),
    })),
    subnets,
    front,
    models,
  };
}

/** A run of which nothing is known but what it is. */
export function minimalReport(): ReportData {
  return {
    title: 'A run',
    generatedBy: { version: '0.1.0', command: 'ofa report run' },
    machine: {
      cpu: 'Example CPU',
      cores: 1,
      os: 'Linux',
      node: 'node v20',
      runtime: 'onnxruntime-node 1.30.0',
    },
    space: { name: 'mbv3-tiny', subnets: '7', imageSizes: [], classes: 2 },
    dataset: { name: 'mnist', train: 0, validation: 0, test: 0 },
    latency: [],
    subnets: [],
    front: [],
    models: [],
  };
}
