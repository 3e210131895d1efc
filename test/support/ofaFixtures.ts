/** What the reference implementation computed for supernets of random weights (ofa-fixtures of the shared data). */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Architecture } from '../../src/space/architecture.js';
import { createSpace, spaceFileSchema, type SearchSpace } from '../../src/space/space.js';
import { packagePath } from '../../src/util/scripts.js';
import { tensor, type Tensor } from '../../src/util/tensor.js';
import { sharedData } from './sharedData.js';

const numbers = z.array(z.number());
const subnetSchema = z.object({
  ks: numbers.default([]),
  e: numbers,
  d: numbers,
  w: numbers.optional(),
  image_size: z.number(),
  input_phase: z.number(),
  input_probe: z.object({ values: z.record(z.string(), z.number()), sum: z.number() }),
  logits_f64: numbers,
  macs: z.number(),
  params: z.number(),
});
const fixtureSchema = z.object({
  network: z.string(),
  checkpoint: z.string(),
  constructor: z.object({
    n_classes: z.number(),
    bn_param: z.object({ momentum: z.number(), eps: z.number() }),
    width_mult: z.number().optional(),
    width_mult_list: numbers.optional(),
    depth_list: numbers,
    expand_ratio_list: numbers,
  }),
  subnets: z.array(subnetSchema).nonempty(),
});
type FixtureFile = z.infer<typeof fixtureSchema>;
export type FixtureSubnet = z.infer<typeof subnetSchema>;

/** Our space and the answers' file of every family. */
export const OFA_FIXTURES = [
  { preset: 'ofa-mbv3', answers: 'subnets.json' },
  { preset: 'ofa-proxyless', answers: 'subnets_proxyless.json' },
  { preset: 'ofa-resnet50', answers: 'subnets_resnet.json' },
] as const;

export interface OfaFixture {
  /** The reference's class. */
  readonly network: string;
  readonly space: SearchSpace;
  readonly checkpoint: string;
  readonly subnets: readonly FixtureSubnet[];
}

export const hasOfaFixtures = sharedData('ofa-fixtures') !== undefined;

/** Throws where the shared data are absent. */
export function loadOfaFixture({ preset, answers }: (typeof OFA_FIXTURES)[number]): OfaFixture {
  const file = fixtureSchema.parse(JSON.parse(readFileSync(sharedData(`ofa-fixtures/${answers}`)!, 'utf8')));
  return {
    network: file.network,
    space: fixtureSpace(preset, file),
    checkpoint: sharedData(`ofa-fixtures/${file.checkpoint}`)!,
    subnets: file.subnets,
  };
}

/** The space that ships, with what the fixture's constructor was given. */
function fixtureSpace(preset: string, { constructor: given, subnets }: FixtureFile): SearchSpace {
  const shipped = spaceFileSchema.parse(
    JSON.parse(readFileSync(packagePath(`supernets/${preset}/space.json`), 'utf8')),
  );
  const { width_mult_list: widths, depth_list: depth } = given;
  const content = {
    ...shipped,
    batchNorm: { epsilon: given.bn_param.eps, momentum: given.bn_param.momentum },
    network: widths === undefined ? shipped.network : withWidths(shipped.network, widths, depth),
  };
  return createSpace(content, {
    classes: given.n_classes,
    imageSizes: subnets.map(({ image_size }) => image_size),
    ...(given.width_mult === undefined ? {} : { width: given.width_mult }),
  });
}

function withWidths(network: unknown, widths: readonly number[], depth: readonly number[]): object {
  const { stem, stages, ...rest } = z
    .looseObject({ stem: z.looseObject({}), stages: z.array(z.looseObject({})) })
    .parse(network);
  return {
    ...rest,
    widths,
    stem: { ...stem, depth: [0, Math.max(...depth)] },
    stages: stages.map((stage) => ({ ...stage, depth })),
  };
}

export function fixtureArchitecture({ ks, e, d, w, image_size }: FixtureSubnet): Architecture {
  return { imageSize: image_size, ks, e, d, ...(w ? { w } : {}) };
}

/** The image of a subnet, by the fixtures' formula; throws where it is not the one that the answers were computed for. */
export function fixtureImage({ image_size: size, input_phase: phase, input_probe }: FixtureSubnet): Tensor {
  const data = new Float32Array(3 * size * size);
  let sum = 0;
  for (let c = 0, k = 0; c < 3; c++) {
    for (let i = 0; i < size * size; i++, k++) {
      data[k] = Math.sin(0.013 * k + phase) + 0.5 * Math.cos(0.37 * k + 2 * c);
      sum += data[k]!;
    }
  }
  const wrong = Object.entries(input_probe.values).filter(([k, v]) => Math.abs(data[Number(k)]! - v) > 1e-6);
  if (wrong.length > 0 || Math.abs(sum - input_probe.sum) > 1e-3)
    throw new RangeError('Cannot make the image: it must be that of the fixture: probes differ');
  return tensor([1, 3, size, size], data);
}
