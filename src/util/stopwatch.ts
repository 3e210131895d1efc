/** Where wall-clock time goes. Handed to code whose parts are worth telling apart; where nobody asks, it costs a call. */

export interface Stopwatch<Part extends string = string> {
  /**
   * Begins a part; call the result when it is over. Time goes to the part that was begun last among those that are open,
   * so the times of all parts add up to the time that passed.
   */
  begin(part: Part): () => void;
}

/** Counts what passes until the promise of `work` settles. */
export function time<P extends string, T>(
  stopwatch: Stopwatch<P>,
  part: P,
  work: () => Promise<T>,
): Promise<T> {
  const over = stopwatch.begin(part);
  return work().finally(over);
}

const nothing = (): void => undefined;

/** Takes no times: the default of the library. */
export const idleStopwatch: Stopwatch = { begin: () => nothing };

/** A stopwatch whose times can be read. `clock`: milliseconds. */
export class PartTimes<Part extends string = string> implements Stopwatch<Part> {
  private readonly totals = new Map<Part, number>();
  /** Open parts, the latest last. */
  private readonly open: { readonly part: Part }[] = [];
  private since: number;

  constructor(private readonly clock: () => number) {
    this.since = clock();
  }

  begin(part: Part): () => void {
    this.charge();
    const entry = { part };
    this.open.push(entry);
    return () => {
      const position = this.open.indexOf(entry);
      if (position < 0) return;
      this.charge();
      this.open.splice(position, 1);
    };
  }

  /** Milliseconds by part so far; parts that are open are counted up to now. */
  read(): ReadonlyMap<Part, number> {
    this.charge();
    return new Map(this.totals);
  }

  /** Starts all parts at nothing again; those that are open stay open. */
  reset(): void {
    this.since = this.clock();
    this.totals.clear();
  }

  private charge(): void {
    const now = this.clock();
    const current = this.open[this.open.length - 1];
    if (current !== undefined)
      this.totals.set(current.part, (this.totals.get(current.part) ?? 0) + now - this.since);
    this.since = now;
  }
}
