/** How much of a measurement is done, for progress bars, on the host and on a browser's page. */

/** Loading and warming up; the rounds come after them. */
const STEPS_BEFORE_ROUNDS = 2;

/** A model that is being measured may count for so much of a whole one. */
const MOST_UNSETTLED = 0.95;

/** Models take turns and end almost together: those that have begun count in part, by the steps that others took. */
export class WorkDone {
  /** Steps begun by models that are not settled. */
  private readonly begun = new Map<string, number>();
  private settledModels = 0;
  private settledSteps = 0;
  private most = 0;

  /** `minRounds`: of the protocol; what a model is expected to take while none has ended. */
  constructor(private readonly minRounds: number) {}

  step(id: string): void {
    this.begun.set(id, (this.begun.get(id) ?? 0) + 1);
  }

  /** The model was measured, or cannot be. */
  settle(id: string): void {
    this.settledModels++;
    this.settledSteps += this.begun.get(id) ?? 0;
    this.begun.delete(id);
  }

  get settled(): number {
    return this.settledModels;
  }

  /** In models; never falls, also where models have to begin again. */
  get models(): number {
    const expected = this.settledSteps / this.settledModels || STEPS_BEFORE_ROUNDS + this.minRounds;
    let sum = this.settledModels;
    for (const steps of this.begun.values()) sum += Math.min(MOST_UNSETTLED, steps / expected);
    return (this.most = Math.max(this.most, sum));
  }
}
