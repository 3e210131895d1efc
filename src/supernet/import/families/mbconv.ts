/** OFAMobileNetV3 and OFAProxylessNASNets (`EN/networks/ofa_mbv3.py`, `EN/networks/ofa_proxyless.py`). */
import { normName, splitName, type ForeignFamily, type ForeignTensor } from '../family.js';

/** Names of a block's layers. Those that adapt to subnets wrap the layer of the same name once more. */
function blockTensor(local: string, elastic: boolean): string {
  const [layer, ...rest] = local.split('.') as [string, ...string[]];
  const suffix = rest.join('.');
  const conv = elastic ? 'conv.conv' : 'conv';
  const norm = elastic ? 'bn.bn' : 'bn';
  const transform = /^transform(\d+)to(\d+)$/.exec(suffix);
  if (transform) return `conv.depth_conv.conv.${transform[1]!}to${transform[2]!}_matrix`;
  switch (layer) {
    case 'expand':
      return `conv.inverted_bottleneck.${conv}.${suffix}`;
    case 'expandNorm':
      return normName(`conv.inverted_bottleneck.${norm}`, suffix);
    case 'depthwise':
      return `conv.depth_conv.${conv}.${suffix}`;
    case 'depthwiseNorm':
      return normName(`conv.depth_conv.${norm}`, suffix);
    case 'squeezeExcite':
      return `conv.depth_conv.se.fc.${suffix}`;
    case 'project':
      return `conv.point_linear.${conv}.${suffix}`;
    case 'projectNorm':
      return normName(`conv.point_linear.${norm}`, suffix);
    default:
      throw new TypeError(`Cannot map layer "${layer}": the reference has none like it`);
  }
}

/** `conv.weight`, `norm.bias` of a convolution with its norm and activation. */
function convTensor(prefix: string, local: string): string {
  const [layer, suffix] = local.split('.') as [string, string];
  return layer === 'norm' ? normName(`${prefix}.bn`, suffix) : `${prefix}.conv.${suffix}`;
}

export const mbconv: ForeignFamily = {
  family: 'mbconv',
  tensors(space, parameters) {
    const blocks = space.network(space.largest).blocks.map(({ name }) => name);
    const body = blocks.filter((name) => name === 'first' || name.startsWith('stage'));
    const hasMix = parameters.some(({ name }) => name.startsWith('classifier.mix.'));
    const foreignName = (name: string): string => {
      const { block, local } = splitName(blocks, name);
      if (block === 'stem') return convTensor('first_conv', local);
      // With one convolution in the tail, the reference calls it by the other one's name.
      if (block === 'expand') return convTensor(hasMix ? 'final_expand_layer' : 'feature_mix_layer', local);
      if (block !== 'classifier')
        return `blocks.${body.indexOf(block)}.${blockTensor(local, block !== 'first')}`;
      return local.startsWith('mix.') ? 'feature_mix_layer.conv.weight' : `classifier.${local}`;
    };
    return parameters.map(({ name, shape }): ForeignTensor => {
      const isImage = /\.squeezeExcite\..*\.weight$|^classifier\.mix\.weight$/.test(name);
      return { name, foreignName: foreignName(name), foreignShape: isImage ? [...shape, 1, 1] : shape };
    });
  },
};
