/** What a folder of images holds that is not read: counted and named, so that nothing is missing without a word. */

/** Files left out for one reason. */
export interface IgnoredFiles {
  /** e.g. `SVG`, `a broken link`. */
  readonly reason: string;
  readonly count: number;
  /** The first few, relative to the data set's folder. */
  readonly files: readonly string[];
}

const NAMED = 3;

export class IgnoredCollector {
  private readonly byReason = new Map<string, { count: number; readonly files: string[] }>();

  add(reason: string, file: string): void {
    const entry = this.byReason.get(reason) ?? { count: 0, files: [] };
    this.byReason.set(reason, entry);
    entry.count++;
    if (entry.files.length < NAMED) entry.files.push(file);
  }

  /** The most frequent reason first. */
  get groups(): IgnoredFiles[] {
    return [...this.byReason]
      .map(([reason, { count, files }]) => ({ reason, count, files }))
      .sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
  }
}

/** `33 in a class folder but ... (a/x.svg, a/y.svg, a/z.svg, ...); 1 a broken link (a/b.png)`. */
export function formatIgnored(groups: readonly IgnoredFiles[]): string {
  return groups
    .map(({ reason, count, files }) => {
      const more = count > files.length ? ', ...' : '';
      return `${count} ${reason} (${files.join(', ')}${more})`;
    })
    .join('; ');
}

/** One line for a log; undefined where nothing was left out. `where`: the folder. */
export function ignoredLine(where: string, groups: readonly IgnoredFiles[]): string | undefined {
  if (groups.length === 0) return undefined;
  const total = groups.reduce((sum, { count }) => sum + count, 0);
  return `Left out ${total} ${total === 1 ? 'entry' : 'entries'} of ${where}: ${formatIgnored(groups)}`;
}
