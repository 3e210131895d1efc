/**
 * Stochastic gradient descent with Nesterov momentum, as PyTorch computes it in float32. Weights and momentum live in the
 * memory of a small WebAssembly program (docs/decisions/0017-update-in-webassembly.md): gradients of a subnet go
 * straight from its program's outputs into the weights they belong to, and no tensor holds those of the supernet.
 */
import { leadingRuns, stored, type GradientSink } from '../supernet/slicing.js';
import type { SupernetWeights } from '../supernet/weights.js';
import { sizeOf, type Tensor } from '../util/tensor.js';
import { sgdKernels, type SgdKernels } from './kernels/sgd.js';

export interface SgdOptions {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
}

/** Values that are handed to the program at a time: few enough to stay in a processor's nearest cache. */
const STAGED = 8192;

/** A tensor that moves. */
interface Slot {
  readonly weight: Tensor;
  /** Of its first value, in values. */
  readonly weightAt: number;
  readonly velocityAt: number;
  readonly decays: boolean;
}

export class Sgd implements GradientSink {
  /** All tensors; those that move are views of the program's memory. */
  readonly weights: SupernetWeights;
  /** Views, too. */
  readonly velocity: SupernetWeights;
  private readonly slots = new Map<string, Slot>();
  private readonly kernels: SgdKernels;
  private readonly memory: Float32Array;
  private readonly stagedAt: number;
  private readonly zerosAt: number;
  private readonly sumAt: number;
  /** Gradients that were added since the last step. */
  private parts = new Map<string, Tensor[]>();

  /**
   * Copies both. The tensors of `velocity` are those that move; `decayed` names the ones among them that decay. Throws
   * RangeError for one that `weights` lacks.
   */
  constructor(weights: SupernetWeights, velocity: SupernetWeights, decayed: ReadonlySet<string>) {
    const moving = [...velocity].map(([name, tensor]) => ({ name, tensor, size: sizeOf(tensor.shape) }));
    const total = moving.reduce((sum, { size }) => sum + size, 0);
    this.stagedAt = 2 * total;
    this.zerosAt = this.stagedAt + STAGED;
    this.sumAt = this.zerosAt + STAGED;
    const longest = moving.reduce((most, { size }) => Math.max(most, size), 0);
    const { kernels, memory } = sgdKernels(this.sumAt + longest);
    this.kernels = kernels;
    this.memory = memory;
    this.weights = new Map(weights);
    this.velocity = new Map();
    let at = 0;
    for (const { name, tensor, size } of moving) {
      const [weightAt, velocityAt] = [at, total + at];
      const weight = this.place(weightAt, stored(weights, name));
      this.weights.set(name, weight);
      this.velocity.set(name, this.place(velocityAt, tensor));
      this.slots.set(name, { weight, weightAt, velocityAt, decays: decayed.has(name) });
      at += size;
    }
  }

  private place(at: number, { shape, data }: Tensor): Tensor {
    const own = this.memory.subarray(at, at + data.length);
    own.set(data);
    return { shape, data: own };
  }

  /** Remembers `part` until the next step: its values must not change before. Throws RangeError as `sumInto`. */
  add(name: string, part: Tensor): void {
    stored(this.velocity, name);
    const parts = this.parts.get(name);
    if (parts === undefined) this.parts.set(name, [part]);
    else parts.push(part);
  }

  /**
   * Moves all weights: g += decay * w; v = momentum * v + g; w -= rate * (g + momentum * v), with g the sum of what was
   * added since the last step. Tensors, and parts of them, that nothing was added to move, too, as in the reference.
   * Momentum starts at zeros.
   */
  step({ learningRate, momentum, weightDecay }: SgdOptions): void {
    for (const [name, slot] of this.slots) {
      const { weight, weightAt, velocityAt, decays } = slot;
      const decay = decays ? weightDecay : 0;
      const update = (from: number, gradientAt: number, count: number): void =>
        this.kernels.update(
          4 * (weightAt + from),
          4 * (velocityAt + from),
          4 * gradientAt,
          count,
          learningRate,
          momentum,
          decay,
        );
      const still = (from: number, to: number): void => {
        for (let at = from; at < to; at += STAGED) update(at, this.zerosAt, Math.min(STAGED, to - at));
      };
      const size = weight.data.length;
      const parts = this.parts.get(name) ?? [];
      if (parts.length > 1) {
        update(0, this.sum(slot, parts), size);
        continue;
      }
      let done = 0;
      for (const part of parts) {
        this.walk(weight, part, (to, from, count) => {
          if (to > done) still(done, to);
          update(to, from, count);
          done = to + count;
        });
      }
      still(done, size);
    }
    this.parts = new Map();
  }

  /** Adds up parts at full size; where the sum begins. */
  private sum({ weight }: Slot, parts: readonly Tensor[]): number {
    const { sumAt } = this;
    this.memory.fill(0, sumAt, sumAt + weight.data.length);
    for (const part of parts) {
      this.walk(weight, part, (to, from, count) => this.kernels.add(4 * (sumAt + to), 4 * from, count));
    }
    return sumAt;
  }

  /**
   * Brings `part` into the memory bit by bit, in order, and tells where each bit belongs in `full`, where it is, and how
   * many values it has.
   */
  private walk(full: Tensor, part: Tensor, visit: (to: number, from: number, count: number) => void): void {
    const { length, offsets } = leadingRuns(full.shape, part.shape);
    const { data } = part;
    let [read, staged] = [0, 0];
    for (const offset of offsets) {
      for (let at = 0; at < length;) {
        if (read === staged) {
          staged = Math.min(read + STAGED, data.length);
          this.memory.set(data.subarray(read, staged), this.stagedAt);
        }
        const count = Math.min(length - at, staged - read);
        // Where `read` lies among the values that were staged last.
        visit(offset + at, this.stagedAt + (read % STAGED), count);
        at += count;
        read += count;
      }
    }
  }
}
