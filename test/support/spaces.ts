/** Search spaces for tests: those that ship, and small ones that brute force can list. */
import { readFileSync } from 'node:fs';
import { createSpace, type SearchSpace, type SpaceOverrides } from '../../src/space/space.js';
import { packagePath } from '../../src/util/scripts.js';

/** A space of supernets/, read at once. */
export function shippedSpace(name: string, overrides: SpaceOverrides = {}): SearchSpace {
  return createSpace(
    JSON.parse(readFileSync(packagePath(`supernets/${name}/space.json`), 'utf8')) as unknown,
    overrides,
  );
}

export interface SmallStage {
  readonly depth: readonly number[];
  readonly kernel: readonly number[];
  readonly expand: readonly number[];
}

/** A space of few networks with the given stages. */
export function smallSpace(
  stages: readonly SmallStage[] = [
    { depth: [1, 2], kernel: [3, 5], expand: [2, 3] },
    { depth: [1, 2], kernel: [3, 5], expand: [2, 4] },
  ],
  imageSizes: readonly number[] = [16, 24],
): SearchSpace {
  return createSpace({
    format: 'ofakit.space/1',
    name: 'small',
    description: 'for tests',
    family: 'mbconv',
    inputChannels: 1,
    imageSizes,
    classes: 4,
    width: 1,
    dropout: 0,
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    network: {
      stem: { width: 8, kernel: 3, stride: 2, activation: 'relu' },
      stages: stages.map((stage, i) => ({
        width: 8 * (i + 1),
        stride: 2,
        activation: 'relu',
        squeezeExcite: i % 2 === 1,
        ...stage,
      })),
      head: { expand: 32, activation: 'relu' },
      kernelTransform: true,
    },
  });
}

/** A space of small bottlenecks: two stages, the second of stride 2. */
export function tinyResnet(
  options: {
    readonly imageSizes?: readonly number[];
    readonly dropout?: number;
    /** From 2 on, all choices differ in channels. */
    readonly width?: number;
  } = {},
): SearchSpace {
  const { imageSizes = [18, 24], dropout = 0, width = 1 } = options;
  const stage = { activation: 'relu', kernel: 3, expand: [0.5, 1] };
  return createSpace({
    format: 'ofakit.space/1',
    name: 'tiny-resnet',
    description: 'for tests',
    family: 'resnet',
    inputChannels: 1,
    imageSizes,
    classes: 10,
    width,
    dropout,
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    network: {
      stem: { width: 16, depth: [0, 1], activation: 'relu' },
      stages: [
        { ...stage, width: 16, stride: 1, blocks: 1, depth: [0, 1] },
        { ...stage, width: 24, stride: 2, blocks: 1, depth: [0, 1] },
      ],
      widths: [0.5, 1],
    },
  });
}

/** ofa-resnet50 with the depths and widths of the fixtures' supernet. */
export function resnetFixtureSpace(imageSizes: readonly number[]): SearchSpace {
  const { file } = shippedSpace('ofa-resnet50', { imageSizes, classes: 10 });
  const network = file.network as { stem: object; stages: object[] };
  return createSpace({
    ...file,
    network: {
      stem: { ...network.stem, depth: [0, 1] },
      stages: network.stages.map((stage) => ({ ...stage, depth: [0, 1] })),
      widths: [0.1, 0.12, 0.14],
    },
  });
}
