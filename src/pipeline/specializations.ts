/** Where the models of a run are: `ofa specialize` writes them into folders of their own, and the run keeps a list of those. */
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { appendJsonLine, dropTornLine, readJson, readJsonLines } from '../util/files.js';
import { runFiles } from './run.js';
import { SPECIALIZATION_FILE, specializationSchema, type SpecializationFile } from './specialization.js';

export const specializedLineSchema = z.strictObject({
  format: z.literal('ofakit.specialized/1'),
  /** Of the models; relative to the run. */
  folder: z.string().min(1),
});

/** Notes that models of the run are in `folder`; once, however often they are made again. Throws UserError. */
export async function noteSpecialization(run: string, folder: string): Promise<void> {
  const { specialized } = runFiles(run);
  const own = relative(resolve(run), resolve(folder)) || '.';
  const lines = await readJsonLines(specialized, specializedLineSchema);
  if (lines.some((line) => line.folder === own)) return;
  await dropTornLine(specialized);
  await appendJsonLine(specialized, { format: 'ofakit.specialized/1', folder: own });
}

/** The models of the run's weights, folder by folder; folders that are gone or hold models of other weights are left out. */
export async function readSpecializations(
  run: string,
  weightsSha256: string,
): Promise<{ readonly folder: string; readonly file: SpecializationFile }[]> {
  const found = [];
  for (const { folder } of await readJsonLines(runFiles(run).specialized, specializedLineSchema)) {
    const path = join(resolve(run, folder), SPECIALIZATION_FILE);
    if (!existsSync(path)) continue;
    const file = await readJson(path, specializationSchema);
    if (file.weightsSha256 === weightsSha256) found.push({ folder, file });
  }
  return found;
}
