/**
 * What the reference's lookup tables call the layers of a block (`ofa/nas/efficiency_predictor/latency_lookup_table.py`,
 * `query` and `predict_network_latency`). Its spatial sizes, int((in - 1) / stride + 1), are those of odd kernels padded
 * by half, so they are the block's.
 */
import type { BlockSpec, ConvLayer, ImageShape, LayerSpec } from '../../space/network.js';

/** `mbv3`: middle channels, squeeze-excite and h_swish in a key, head in three parts. `proxyless`: expand ratio, head in one. */
export type KeyForm = 'mbv3' | 'proxyless';

/** Height first. */
const repr = ({ channels, height, width }: ImageShape): string => `${height}x${width}x${channels}`;

const bit = (value: boolean): number => (value ? 1 : 0);

function findConv(
  layers: readonly LayerSpec[],
  wanted: (layer: ConvLayer) => boolean,
): ConvLayer | undefined {
  return layers.find((layer): layer is ConvLayer => layer.kind === 'conv' && wanted(layer));
}

function headKeys(block: BlockSpec, form: KeyForm): string[] {
  const dense = block.layers.filter((layer) => layer.kind === 'linear');
  const classes = dense.at(-1)!.outFeatures;
  if (form === 'proxyless') return [`Logits-input:${repr(block.input)}-output:${classes}`];
  const keys = [`AvgPool2D-input:${repr(block.input)}-output:1x1x${block.input.channels}`];
  for (const { inFeatures, outFeatures } of dense.slice(0, -1))
    keys.push(`Conv_2-input:1x1x${inFeatures}-output:1x1x${outFeatures}`);
  return [...keys, `Logits-input:1x1x${dense.at(-1)!.inFeatures}-output:${classes}`];
}

/** Keys whose figures add up to the block's; [] for a block that such tables do not know. */
export function referenceKeys(block: BlockSpec, form: KeyForm): string[] {
  const { layers, input, output, shortcut } = block;
  if (layers.some(({ kind }) => kind === 'linear')) return headKeys(block, form);
  const ends = `input:${repr(input)}-output:${repr(output)}`;
  const depthwise = findConv(layers, ({ groups }) => groups > 1);
  if (depthwise !== undefined) {
    if (typeof shortcut !== 'string') return [];
    const mid = depthwise.outChannels;
    const inner = `kernel:${depthwise.kernel}-stride:${depthwise.stride}-idskip:${bit(shortcut === 'identity')}`;
    if (form === 'proxyless')
      return [`expanded_conv-${ends}-expand:${Math.round(mid / input.channels)}-${inner}`];
    const se = layers.some(({ kind }) => kind === 'squeezeExcite');
    const hs = layers.some((layer) => layer.kind === 'activation' && layer.activation === 'h_swish');
    return [`expanded_conv-${ends}-expand:${mid}-${inner}-se:${bit(se)}-hs:${bit(hs)}`];
  }
  const only = findConv(layers, () => true);
  if (only === undefined || layers.filter(({ kind }) => kind === 'conv').length > 1) return [];
  return [`${only.kernel === 1 ? 'Conv_1' : 'Conv'}-${ends}`];
}
