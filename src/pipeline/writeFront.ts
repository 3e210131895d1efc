/** A Pareto front in files: JSON for programs, CSV for tables, SVG for people. */
import { join } from 'node:path';
import { renderChart } from '../report/chart.js';
import { frontChart } from '../report/charts/front.js';
import { frontCsv, type FrontFile } from '../search/front.js';
import { writeAtomic, writeJson } from '../util/files.js';

export interface FrontFiles {
  readonly json: string;
  readonly csv: string;
  readonly svg: string;
}

/** Where a run's front is, unless another folder is wanted. */
export const frontFolder = (run: string): string => join(run, 'front');

/** Writes front.json, front.csv and front.svg in the folder. Throws UserError where the file system refuses. */
export async function writeFront(folder: string, front: FrontFile): Promise<FrontFiles> {
  const { space, objectives, points, picked } = front;
  const files = {
    json: join(folder, 'front.json'),
    csv: join(folder, 'front.csv'),
    svg: join(folder, 'front.svg'),
  };
  const picture = await renderChart(
    frontChart({
      title: `Pareto front of ${space}`,
      objectives,
      points: points.map(({ values }) => objectives.map(({ name }) => values[name]!)),
      ...(picked && { picked: { label: `Picked: ${picked.rule}`, index: picked.index } }),
    }),
    'front',
  );
  await writeJson(files.json, front);
  await writeAtomic(files.csv, frontCsv(front));
  await writeAtomic(files.svg, `${picture.text}\n`);
  return files;
}
