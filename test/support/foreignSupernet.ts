/** A supernet of ours as the reference implementation would have saved it. */
import type { SearchSpace } from '../../src/space/space.js';
import { foreignTensors } from '../../src/supernet/import/importWeights.js';
import type { SupernetWeights } from '../../src/supernet/weights.js';
import { floatStorage, longStorage, WrittenTensor, type Writable } from './torchFile.js';

/** Its state dict, batch norm's counters included; `rename` makes other forms of names. */
export function foreignState(
  space: SearchSpace,
  weights: SupernetWeights,
  rename = (name: string): string => name,
): Map<string, Writable> {
  const state = new Map<string, Writable>();
  for (const { name, foreignName, foreignShape } of foreignTensors(space)) {
    state.set(rename(foreignName), new WrittenTensor(floatStorage(weights.get(name)!.data), foreignShape));
    if (!foreignName.endsWith('.running_var')) continue;
    const counter = foreignName.replace(/running_var$/, 'num_batches_tracked');
    state.set(rename(counter), new WrittenTensor(longStorage([7]), []));
  }
  return state;
}
