/** One block in float64, loop by loop: an oracle that shares nothing with the graphs. Inference form of batch norm. */
import type { ActivationName, BlockSpec, ConvLayer, LayerSpec } from '../../src/space/network.js';
import type { Tensor } from '../../src/util/tensor.js';
import { activeKernel } from '../../src/supernet/kernelTransform.js';

/** [C, H, W] */
export interface Feature {
  readonly channels: number;
  readonly size: number;
  readonly data: Float64Array;
}

type Weights = (name: string) => Tensor;

const clamp = (x: number): number => Math.min(Math.max(x, 0), 6);
const ACTIVATIONS: Record<ActivationName, (x: number) => number> = {
  relu: (x) => Math.max(x, 0),
  relu6: clamp,
  h_swish: (x) => (x * clamp(x + 3)) / 6,
};

function conv(
  x: Feature,
  { outChannels, inChannels, kernel, stride, groups, name }: ConvLayer,
  w: Weights,
): Feature {
  const weight = w(`${name}.weight`);
  const stored = weight.shape[2]!;
  const chain = [7, 5, 3, 1].filter((k) => k <= stored && k >= kernel);
  const { data } = activeKernel(weight, chain, undefined);
  const pad = kernel >> 1;
  const size = Math.floor((x.size + 2 * pad - kernel) / stride) + 1;
  const out = new Float64Array(outChannels * size * size);
  const perGroup = inChannels / groups;
  for (let o = 0; o < outChannels; o++) {
    const first = Math.floor(o / (outChannels / groups)) * perGroup;
    for (let y = 0; y < size; y++) {
      for (let xx = 0; xx < size; xx++) {
        let sum = 0;
        for (let i = 0; i < perGroup; i++) {
          for (let ky = 0; ky < kernel; ky++) {
            for (let kx = 0; kx < kernel; kx++) {
              const sy = y * stride + ky - pad;
              const sx = xx * stride + kx - pad;
              if (sy < 0 || sx < 0 || sy >= x.size || sx >= x.size) continue;
              const value = x.data[((first + i) * x.size + sy) * x.size + sx]!;
              sum += value * data[((o * perGroup + i) * kernel + ky) * kernel + kx]!;
            }
          }
        }
        out[(o * size + y) * size + xx] = sum;
      }
    }
  }
  return { channels: outChannels, size, data: out };
}

function squeezeExcite(x: Feature, name: string, w: Weights): Feature {
  const area = x.size ** 2;
  const pooled = Array.from(
    { length: x.channels },
    (_, c) => x.data.slice(c * area, (c + 1) * area).reduce((a, b) => a + b) / area,
  );
  const dense = (input: number[], part: string): number[] =>
    [...w(`${name}.${part}.bias`).data].map((bias, o) =>
      input.reduce((sum, v, i) => sum + v * w(`${name}.${part}.weight`).data[o * input.length + i]!, bias),
    );
  const inner = dense(pooled, 'reduce').map((v) => Math.max(v, 0));
  const scale = dense(inner, 'expand').map((v) => clamp(v + 3) / 6);
  return { ...x, data: x.data.map((v, i) => v * scale[Math.floor(i / area)]!) };
}

function layerForward(x: Feature, layer: LayerSpec, w: Weights): Feature {
  const area = x.size ** 2;
  switch (layer.kind) {
    case 'conv':
      return conv(x, layer, w);
    case 'batchNorm': {
      const [scale, shift, mean, variance] = ['weight', 'bias', 'runningMean', 'runningVariance'].map(
        (suffix) => w(`${layer.name}.${suffix}`).data,
      );
      return {
        ...x,
        data: x.data.map((v, i) => {
          const c = Math.floor(i / area);
          return ((v - mean![c]!) / Math.sqrt(variance![c]! + layer.epsilon)) * scale![c]! + shift![c]!;
        }),
      };
    }
    case 'activation':
      return { ...x, data: x.data.map(ACTIVATIONS[layer.activation]) };
    case 'squeezeExcite':
      return squeezeExcite(x, layer.name, w);
    default:
      throw new TypeError(`The oracle has no ${layer.kind}`);
  }
}

/** `kernel` of elastic convolutions: plain centre crops. */
export function naiveForward(block: BlockSpec, x: Feature, w: Weights): Feature {
  const out = block.layers.reduce((value, layer) => layerForward(value, layer, w), x);
  if (block.shortcut === 'none') return out;
  const side =
    block.shortcut === 'identity'
      ? x
      : block.shortcut.reduce((value, layer) => layerForward(value, layer, w), x);
  return { ...out, data: out.data.map((v, i) => v + side.data[i]!) };
}
