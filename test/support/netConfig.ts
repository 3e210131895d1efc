/** `net.config` files of the reference's networks, from a list of blocks and from the published ones. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** in, out, kernel, stride, expand, mid, activation, squeeze-excite, shortcut. */
const blockSchema = z.tuple([
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number().nullable(),
  z.string(),
  z.number(),
  z.number(),
]);
export type BlockRow = z.infer<typeof blockSchema>;

const publishedSchema = z.object({
  nets: z.array(
    z.object({
      name: z.string(),
      device: z.string(),
      latency_ms: z.number().nullable(),
      resolution: z.number(),
      first_conv: z.number(),
      blocks: z.array(blockSchema),
      head: z.tuple([z.number().nullable(), z.number()]),
    }),
  ),
});
export type PublishedNet = z.infer<typeof publishedSchema>['nets'][number];

export function publishedNets(path: string): PublishedNet[] {
  return publishedSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).nets;
}

const conv = (inChannels: number, outChannels: number, rest: Record<string, unknown>): object => ({
  name: 'ConvLayer',
  kernel_size: 1,
  stride: 1,
  dilation: 1,
  groups: 1,
  bias: false,
  has_shuffle: false,
  in_channels: inChannels,
  out_channels: outChannels,
  use_bn: true,
  dropout_rate: 0,
  ops_order: 'weight_bn_act',
  ...rest,
});

export interface NetParts {
  readonly firstConv: number;
  readonly blocks: readonly BlockRow[];
  /** Features of the 1x1 convolution before the pool (null: none), and of the last layer before the classifier. */
  readonly head: readonly [number | null, number];
  readonly classes?: number;
}

/** `old`: the names of layers until 2020, which the published files have. */
export function netConfig(
  { firstConv, blocks, head, classes = 1000 }: NetParts,
  old = true,
): Record<string, unknown> {
  const [expand, last] = head;
  const act = expand === null ? 'relu6' : 'h_swish';
  const width = blocks.at(-1)![1];
  return {
    name: expand === null ? 'ProxylessNASNets' : 'MobileNetV3',
    bn: { momentum: 0.1, eps: expand === null ? 1e-3 : 1e-5 },
    first_conv: conv(3, firstConv, { kernel_size: 3, stride: 2, act_func: act }),
    blocks: blocks.map(([inChannels, outChannels, kernel, stride, ratio, mid, activation, se, skip]) => ({
      name: old ? 'MobileInvertedResidualBlock' : 'ResidualBlock',
      [old ? 'mobile_inverted_conv' : 'conv']: {
        name: old ? 'MBInvertedConvLayer' : 'MBConvLayer',
        in_channels: inChannels,
        out_channels: outChannels,
        kernel_size: kernel,
        stride,
        expand_ratio: ratio,
        mid_channels: mid,
        act_func: activation,
        use_se: se === 1,
        ...(old ? {} : { groups: null }),
      },
      shortcut:
        skip === 1
          ? { name: 'IdentityLayer', in_channels: [inChannels], out_channels: [outChannels], use_bn: false }
          : null,
    })),
    ...(expand === null ? {} : { final_expand_layer: conv(width, expand, { act_func: act }) }),
    feature_mix_layer: conv(expand ?? width, last, { act_func: act, use_bn: expand === null }),
    classifier: {
      name: 'LinearLayer',
      in_features: last,
      out_features: classes,
      bias: true,
      use_bn: false,
      act_func: null,
      dropout_rate: 0,
      ops_order: 'weight_bn_act',
    },
  };
}

export function publishedConfig({ first_conv, blocks, head }: PublishedNet): Record<string, unknown> {
  return netConfig({ firstConv: first_conv, blocks, head });
}
