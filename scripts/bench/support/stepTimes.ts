/** When the steps of a training began and ended. */
import type { StepObserver } from '../../../src/training/profile.js';

export class StepTimes implements Pick<StepObserver, 'beginStep' | 'endStep'> {
  private readonly begins: number[] = [];
  private readonly ends: number[] = [];

  constructor(private readonly clock: () => number = () => performance.now()) {}

  beginStep(): void {
    this.begins.push(this.clock());
  }

  endStep(): void {
    this.ends.push(this.clock());
  }

  /** Of one step, from asking for its batch to the end of its update. */
  stepMs(step: number): number {
    return this.ends[step]! - this.begins[step]!;
  }

  /** Mean time from step to step, from step `first` on, with all that happens between them. */
  wallMs(first: number): number {
    return (this.ends.at(-1)! - this.begins[first]!) / (this.ends.length - first);
  }
}
