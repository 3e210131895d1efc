/**
 * SNIP: how much the loss would change if a weight were removed, to first order: sum |w dL/dw| (Lee, Ajanthan, Torr,
 * "SNIP: single-shot network pruning based on connection sensitivity", ICLR 2019, eq. 4, not normalised; as a score of
 * networks in Zero-Cost NAS, section 3.2.2, `measures/snip.py`).
 */
import { lossPass } from './passes.js';
import { weightNames, type ProxyDefinition } from './proxy.js';

export const snip: ProxyDefinition = {
  name: 'snip',
  description: 'sum of |weight x gradient| of the loss of one batch',
  async score({ blocks, tensors, images, labels, passes }) {
    const { gradients } = await lossPass(passes, blocks, tensors, images, labels);
    let sum = 0;
    for (const name of weightNames(blocks)) {
      const weight = tensors.get(name)!.data;
      const gradient = gradients.get(name)!.data;
      for (let i = 0; i < weight.length; i++) sum += Math.abs(weight[i]! * gradient[i]!);
    }
    return sum;
  },
};
