/** The most memory that this process has held in RAM so far, its threads included, bytes. */
export const peakMemoryBytes = (): number => process.resourceUsage().maxRSS * 1024;

/** 1234567890 -> "1.23 GB", in powers of ten. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${units[power]!}`;
}
