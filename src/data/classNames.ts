/** Class names of a run beside those of data at hand. */

/** Names that a message lists at most. */
const LISTED = 8;

/**
 * For every class of the data its place in the run's: the same names in any order, or a part of them. Undefined where the
 * data have a class that the run does not know.
 */
export function alignClasses(data: readonly string[], run: readonly string[]): readonly number[] | undefined {
  const places = new Map(run.map((name, i) => [name, i]));
  const aligned = data.map((name) => places.get(name));
  return aligned.every((place) => place !== undefined) ? aligned : undefined;
}

/** Both have the same names, in whatever order. */
export function sameClasses(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && alignClasses(a, b) !== undefined;
}

/** `a, b, c and 5 more`. */
export function listNames(names: readonly string[], most = LISTED): string {
  const shown = names.slice(0, most).join(', ');
  return names.length <= most ? shown : `${shown} and ${names.length - most} more`;
}

/** In what two lists differ, then both lists. */
export function classDifference(data: readonly string[], run: readonly string[]): string {
  const ofData = new Set(data);
  const ofRun = new Set(run);
  const onlyData = data.filter((name) => !ofRun.has(name));
  const onlyRun = run.filter((name) => !ofData.has(name));
  return [
    `only the data have ${listNames(onlyData)}`,
    ...(onlyRun.length === 0 ? [] : [`only the run has ${listNames(onlyRun)}`]),
    `the run's ${run.length} are ${listNames(run)}`,
    `the data's ${data.length} are ${listNames(data)}`,
  ].join('; ');
}
