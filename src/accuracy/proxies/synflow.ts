/**
 * SynFlow: sum w dR/dw of R = 1' (prod |W|) 1, the flow through the network with all weights positive (Tanaka et al.,
 * "Pruning neural networks without any data by iteratively conserving synaptic flow", NeurIPS 2020, eq. 2; summed as a
 * score in Zero-Cost NAS, section 3.2.3, `measures/synflow.py`: absolute weights, an image of ones, batch norm taken out).
 *
 * The reference takes out batch norm because its shift and its statistics would spoil the product; so does this. The nets
 * it was written for have ReLU only, which is the identity where everything is positive. Here also h_swish, ReLU6 and
 * squeeze-excite occur, so what all of them approach is written down: activations are the identity (ReLU6 would cut off the
 * flow), gates of squeeze-excite are open (h_sigmoid is 1 from 3 on), biases are left out. That network is linear but for
 * max pooling, and homogeneous, so values are scaled to 1 between blocks and the factors kept as logarithms: the reference
 * needs float64, and deep networks overflow even float32. The score is the natural logarithm of the sum, which has the
 * same order.
 */
import type { BlockSpec, LayerSpec } from '../../space/network.js';
import { tensor, type Tensor } from '../../util/tensor.js';
import { weightNames, type ProxyDefinition } from './proxy.js';

const NOT_LINEAR: ReadonlySet<LayerSpec['kind']> = new Set([
  'batchNorm',
  'activation',
  'squeezeExcite',
  'dropout',
]);

function linearLayers(layers: readonly LayerSpec[]): LayerSpec[] {
  return layers
    .filter(({ kind }) => !NOT_LINEAR.has(kind))
    .map((layer) => (layer.kind === 'conv' || layer.kind === 'linear' ? { ...layer, bias: false } : layer));
}

/** The block without batch norm, activations, gates and biases. */
export function linearBlock({ activationAfter: _, ...block }: BlockSpec): BlockSpec {
  return {
    ...block,
    layers: linearLayers(block.layers),
    shortcut: typeof block.shortcut === 'string' ? block.shortcut : linearLayers(block.shortcut),
  };
}

/** The tensor divided by its largest value, and the logarithm of that. Values are not negative. */
function normalised({ shape, data }: Tensor): { readonly scaled: Tensor; readonly log: number } {
  const largest = data.reduce((a, b) => Math.max(a, b), 0);
  const factor = largest > 0 ? 1 / largest : 0;
  return {
    scaled: tensor(
      shape,
      data.map((v) => v * factor),
    ),
    log: Math.log(largest),
  };
}

function logSumExp(values: readonly number[]): number {
  const top = Math.max(...values);
  if (!Number.isFinite(top)) return top;
  return top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
}

export const synflow: ProxyDefinition = {
  name: 'synflow',
  description:
    'logarithm of the sum of |weight x gradient| of the flow through the linear network of absolute weights',
  async score({ blocks: plain, tensors, images, passes }) {
    const blocks = plain.map(linearBlock);
    const positive = new Map<string, Tensor>();
    for (const name of weightNames(blocks)) {
      const { shape, data } = tensors.get(name)!;
      positive.set(name, tensor(shape, data.map(Math.abs)));
    }
    const inputs: { readonly x: Tensor; readonly log: number }[] = [];
    let x = tensor([1, ...images.shape.slice(1)]);
    x.data.fill(1);
    let forwardLog = 0;
    for (const block of blocks) {
      inputs.push({ x, log: forwardLog });
      const { scaled, log } = normalised(await passes.forward(block, positive, x));
      x = scaled;
      forwardLog += log;
    }
    // R is the sum of the logits.
    let dy = tensor(x.shape);
    dy.data.fill(1);
    let backwardLog = 0;
    const parts: number[] = [];
    for (let i = blocks.length - 1; i >= 0; i--) {
      const input = inputs[i]!;
      const { gradients, dx } = await passes.backward(blocks[i]!, positive, input.x, dy, i > 0);
      let sum = 0;
      for (const [name, gradient] of gradients) {
        const weight = positive.get(name)!.data;
        gradient.data.forEach((g, j) => (sum += g * weight[j]!));
      }
      parts.push(Math.log(sum) + input.log + backwardLog);
      if (dx === undefined) break;
      const { scaled, log } = normalised(dx);
      dy = scaled;
      backwardLog += log;
    }
    return logSumExp(parts);
  },
};
