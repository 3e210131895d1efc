/** The kernels of sgd.wat, over a memory of their own. */
import { SGD_MODULE } from './sgdModule.js';

/** Pointers are byte offsets into the memory. */
export interface SgdKernels {
  /** g += decay * w; v = momentum * v + g; w -= rate * (g + momentum * v), over `count` values; `g` is left as it is. */
  update(w: number, v: number, g: number, count: number, rate: number, momentum: number, decay: number): void;
  /** to += from, over `count` values. */
  add(to: number, from: number, count: number): void;
}

const PAGE_BYTES = 65_536;

/** Kernels over `length` zeros. Throws RangeError where the machine has no memory for them, or they take over 4 GiB. */
export function sgdKernels(length: number): { readonly kernels: SgdKernels; readonly memory: Float32Array } {
  const memory = new WebAssembly.Memory({ initial: Math.ceil((4 * length) / PAGE_BYTES) });
  const module = new WebAssembly.Module(Buffer.from(SGD_MODULE, 'base64'));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { kernels: exports as SgdKernels, memory: new Float32Array(memory.buffer, 0, length) };
}
