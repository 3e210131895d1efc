/** Adam on the logits of a policy, uphill (Kingma and Ba, ICLR 2015, algorithm 1), in float64. */

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

export class LogitOptimizer {
  readonly #mean: readonly Float64Array[];
  readonly #square: readonly Float64Array[];
  #step = 0;

  /** Writes into `logits`. */
  constructor(
    private readonly logits: readonly Float64Array[],
    private readonly learningRate: number,
  ) {
    const zeros = (): Float64Array[] => logits.map(({ length }) => new Float64Array(length));
    this.#mean = zeros();
    this.#square = zeros();
  }

  /** One step along gradients of what is to be large, of the logits' shape. */
  ascend(gradients: readonly Float64Array[]): void {
    this.#step++;
    const [forMean, forSquare] = [1 - BETA1 ** this.#step, 1 - BETA2 ** this.#step];
    this.logits.forEach((own, gene) => {
      const [mean, square] = [this.#mean[gene]!, this.#square[gene]!];
      gradients[gene]!.forEach((g, i) => {
        mean[i] = BETA1 * mean[i]! + (1 - BETA1) * g;
        square[i] = BETA2 * square[i]! + (1 - BETA2) * g * g;
        own[i]! += (this.learningRate * (mean[i] / forMean)) / (Math.sqrt(square[i] / forSquare) + EPSILON);
      });
    });
  }
}
