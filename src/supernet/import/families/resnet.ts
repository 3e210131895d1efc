/** OFAResNets (`EN/networks/ofa_resnets.py`, `EN/modules/dynamic_layers.py:524-841`). */
import { normName, splitName, type ForeignFamily, type ForeignTensor } from '../family.js';

/** Layers of a bottleneck, there and here. */
const LAYERS: Readonly<Record<string, string>> = {
  reduce: 'conv1',
  middle: 'conv2',
  expand: 'conv3',
  shortcut: 'downsample',
};

/** `reduce.weight`, `reduceNorm.bias` of a bottleneck. */
function bottleneckTensor(local: string): string {
  const [layer, suffix] = local.split('.') as [string, string];
  const name = LAYERS[layer.replace(/Norm$/, '')];
  if (name === undefined) throw new TypeError(`Cannot map layer "${layer}": the reference has none like it`);
  return convTensor(name, layer.endsWith('Norm') ? 'norm' : 'conv', suffix);
}

/** Convolution and norm of a layer that adapts to subnets: each wraps one of PyTorch's. */
function convTensor(prefix: string, layer: string, suffix: string): string {
  return layer === 'norm' ? normName(`${prefix}.bn.bn`, suffix) : `${prefix}.conv.conv.${suffix}`;
}

/** The second layer of the stem has a shortcut around it, hence one more wrapping. */
const STEM: Readonly<Record<string, string>> = {
  stem: 'input_stem.0',
  stemResidual: 'input_stem.1.conv',
  stemOutput: 'input_stem.2',
};

export const resnet: ForeignFamily = {
  family: 'resnet',
  tensors(space, parameters) {
    const blocks = space.network(space.largest).blocks.map(({ name }) => name);
    const body = blocks.filter((name) => /^stage\d/.test(name));
    const foreignName = (name: string): string => {
      const { block, local } = splitName(blocks, name);
      const stem = STEM[block];
      if (stem !== undefined) return convTensor(stem, ...(local.split('.') as [string, string]));
      if (block === 'classifier') return `classifier.linear.${local}`;
      return `blocks.${body.indexOf(block)}.${bottleneckTensor(local)}`;
    };
    return parameters.map(({ name, shape }): ForeignTensor => ({
      name,
      foreignName: foreignName(name),
      foreignShape: shape,
    }));
  },
};
