/**
 * Networks that somebody else specialised, as the reference's tools write them: `net.config` (every layer with its
 * sizes) and `run.config` beside it (`image_size`). They need not be in any search space; everything that takes a
 * `Network` (costs, latency keys) takes them.
 */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { unknownName, UserError } from '../util/errors.js';
import { readJson, validate } from '../util/files.js';
import { classifierBlock, convBlock } from './families/commonBlocks.js';
import { Layers } from './families/layers.js';
import { mbconvBlock } from './families/mbconvBlocks.js';
import type { BlockSpec, ImageShape, Network } from './network.js';

const positive = z.number().int().positive();
const activation = z.enum(['relu', 'relu6', 'h_swish']);

/** `ConvLayer` of `ofa/utils/layers.py`; what is not written has its default there. */
const convSchema = z.looseObject({
  in_channels: positive,
  out_channels: positive,
  kernel_size: positive.default(3),
  stride: positive.default(1),
  dilation: z.literal(1).default(1),
  groups: z.literal(1).default(1),
  bias: z.literal(false).default(false),
  use_se: z.literal(false).default(false),
  use_bn: z.boolean().default(true),
  act_func: activation,
});

const mbconvSchema = z.looseObject({
  name: z.enum(['MBConvLayer', 'MBInvertedConvLayer']),
  in_channels: positive,
  out_channels: positive,
  kernel_size: positive.default(3),
  stride: positive.default(1),
  expand_ratio: z.number().positive().default(6),
  mid_channels: positive.nullable().default(null),
  act_func: activation.default('relu6'),
  use_se: z.boolean().default(false),
  groups: z.null().optional(),
});

/** A layer that was searched away leaves its shortcut: the block does nothing. */
const zeroSchema = z.looseObject({ name: z.literal('ZeroLayer') });
const innerSchema = z.discriminatedUnion('name', [mbconvSchema, zeroSchema]).nullable();

const blockSchema = z
  .looseObject({
    /** Its name until 2020; `conv` since. */
    mobile_inverted_conv: innerSchema.optional(),
    conv: innerSchema.optional(),
    shortcut: z.looseObject({ name: z.string() }).nullable(),
  })
  .refine(
    (block) => block.mobile_inverted_conv !== undefined || block.conv !== undefined,
    'a block must have "mobile_inverted_conv" or "conv"',
  );

const batchNormSchema = z.looseObject({ momentum: z.number().min(0).max(1), eps: z.number().positive() });
const common = {
  bn: batchNormSchema.optional(),
  first_conv: convSchema,
  blocks: z.array(blockSchema),
  classifier: z.looseObject({
    in_features: positive,
    out_features: positive,
    bias: z.literal(true).default(true),
    use_bn: z.literal(false).default(false),
    act_func: z.null().default(null),
    dropout_rate: z.number().min(0).max(0.99).default(0),
  }),
};

const mobileNetV3 = z.looseObject({
  name: z.literal('MobileNetV3'),
  ...common,
  final_expand_layer: convSchema,
  feature_mix_layer: convSchema.extend({ use_bn: z.literal(false), kernel_size: z.literal(1) }),
});
const proxyless = z.looseObject({
  name: z.literal('ProxylessNASNets'),
  ...common,
  feature_mix_layer: convSchema.nullable(),
});
const configSchema = z.discriminatedUnion('name', [mobileNetV3, proxyless]);
type Config = z.infer<typeof configSchema>;
const KNOWN = ['MobileNetV3', 'ProxylessNASNets'];

/** What the reference's classes do without `bn` (`IC/networks/mobilenet_v3.py`, `proxyless_nets.py`, build_from_config). */
const DEFAULT_NORM = {
  MobileNetV3: { momentum: 0.1, eps: 1e-5 },
  ProxylessNASNets: { momentum: 0.1, eps: 1e-3 },
} as const;

/** `run.config`; the other settings of a training are let pass. */
const runConfigSchema = z.looseObject({ image_size: positive });

function build(config: Config, imageSize: number, where: string): Network {
  const { eps, momentum } = config.bn ?? DEFAULT_NORM[config.name];
  const make = new Layers({ epsilon: eps, momentum }, false);
  const blocks: BlockSpec[] = [];
  const input: ImageShape = { channels: config.first_conv.in_channels, height: imageSize, width: imageSize };
  let shape = input;
  const refuse = (layer: string, reason: string): never => {
    throw new UserError(`Cannot use ${where} at "${layer}": ${reason}`);
  };
  const connects = (layer: string, channels: number): void => {
    if (channels !== shape.channels) {
      refuse(
        layer,
        `it must take the ${shape.channels} channels of the layer before it: it takes ${channels}`,
      );
    }
  };
  const append = (block: BlockSpec): void => {
    blocks.push(block);
    shape = block.output;
  };
  const conv = (name: string, key: string, layer: z.infer<typeof convSchema>): void => {
    connects(key, layer.in_channels);
    if (!layer.use_bn) refuse(key, 'it must have a batch norm');
    const { out_channels: outChannels, kernel_size: kernel, stride, act_func } = layer;
    append(convBlock(make, name, { outChannels, kernel, stride, activation: act_func }, shape));
  };

  conv('stem', 'first_conv', config.first_conv);
  config.blocks.forEach((block, i) => {
    const key = `blocks.${i}`;
    const inner = block.mobile_inverted_conv ?? block.conv ?? null;
    const residual = block.shortcut !== null && block.shortcut.name !== 'ZeroLayer';
    if (inner === null || inner.name === 'ZeroLayer') {
      if (!residual) refuse(key, 'it has neither layers nor a shortcut');
      return;
    }
    connects(key, inner.in_channels);
    const outChannels = inner.out_channels;
    if (residual && (inner.stride !== 1 || inner.in_channels !== outChannels)) {
      refuse(key, 'a shortcut needs stride 1 and as many output as input channels');
    }
    const midChannels = inner.mid_channels ?? Math.round(inner.in_channels * inner.expand_ratio);
    if (inner.expand_ratio === 1 && midChannels !== inner.in_channels) {
      refuse(
        key,
        `without expansion it must have ${inner.in_channels} middle channels: it has ${midChannels}`,
      );
    }
    append(
      mbconvBlock(
        make,
        {
          name: `block${i}`,
          outChannels,
          kernel: inner.kernel_size,
          kernelChoices: [inner.kernel_size],
          stride: inner.stride,
          expand: inner.expand_ratio,
          midChannels,
          activation: inner.act_func,
          squeezeExcite: inner.use_se,
          residual,
        },
        shape,
      ),
    );
  });

  const { in_features: features, out_features: classes, dropout_rate: dropout } = config.classifier;
  if (config.name === 'MobileNetV3') {
    conv('expand', 'final_expand_layer', config.final_expand_layer);
    const { in_channels, out_channels, act_func } = config.feature_mix_layer;
    connects('feature_mix_layer', in_channels);
    const mix = { features: out_channels, activation: act_func };
    if (features !== out_channels) refuse('classifier', `it must take ${out_channels} features`);
    append(classifierBlock({ mix, dropout, classes }, shape));
  } else {
    if (config.feature_mix_layer !== null) conv('expand', 'feature_mix_layer', config.feature_mix_layer);
    connects('classifier', features);
    append(classifierBlock({ dropout, classes }, shape));
  }
  return { input, classes, blocks };
}

/**
 * The network of a `net.config` at the image size of a `run.config`; `where` names them in messages. MobileNetV3 and
 * ProxylessNASNets (`IC/networks/`, build_from_config). Throws UserError naming the layer that is wrong.
 */
export function networkFromConfig(config: unknown, runConfig: unknown, where = 'the network'): Network {
  const { name } = validate(config, z.looseObject({ name: z.string() }), where);
  if (!KNOWN.includes(name)) throw unknownName(`class of network in ${where}`, name, KNOWN);
  const { image_size } = validate(runConfig, runConfigSchema, `the run.config of ${where}`);
  return build(validate(config, configSchema, where), image_size, where);
}

/**
 * Reads a `net.config`, or the folder that holds one. `imageSize`: default that of the `run.config` beside it. Throws
 * UserError.
 */
export async function readStaticNetwork(path: string, imageSize?: number): Promise<Network> {
  const isFolder = await stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  const file = isFolder ? join(path, 'net.config') : path;
  const config = await readJson(file, z.unknown());
  const runFile = join(dirname(file), 'run.config');
  const run = imageSize === undefined ? await readRunConfig(runFile) : { image_size: imageSize };
  return networkFromConfig(config, run, file);
}

async function readRunConfig(path: string): Promise<unknown> {
  const there = await stat(path).then(
    () => true,
    () => false,
  );
  if (there) return readJson(path, z.unknown());
  throw new UserError(
    `Cannot tell the image size of the network: there is no ${path}; say it with --image-size`,
  );
}
