/** Tells steps, and repeats the last one where a step takes long, so that slow models are not taken to hang. */

/** Slow models give a sign of life at least so often between samples. */
const ALIVE_MS = 5000;

export class Alive {
  private told: number;
  private last: { readonly id: string; readonly step: string } | undefined;

  /** `now` is a clock in ms. */
  constructor(
    private readonly tell: (id: string, step: string) => void | Promise<void>,
    private readonly now: () => number,
  ) {
    this.told = now();
  }

  async step(id: string, step: string): Promise<void> {
    this.last = { id, step };
    this.told = this.now();
    await this.tell(id, step);
  }

  /** To be called between samples. */
  async again(): Promise<void> {
    if (this.last !== undefined && this.now() - this.told > ALIVE_MS) {
      await this.step(this.last.id, this.last.step);
    }
  }
}
