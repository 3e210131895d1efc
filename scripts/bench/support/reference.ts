/** How fast OFA's own search was, as figures of other runs say. */
import { z } from 'zod';
import { readJson } from '../../../src/util/files.js';
import { median } from './machine.js';

const schema = z.looseObject({
  search: z.record(
    z.string(),
    z.looseObject({ candidates_per_s: z.array(z.number().positive()).nonempty() }),
  ),
});

/** One a way of installing it: the median of its runs. Throws UserError. */
export async function readReference(path: string): Promise<{ name: string; candidatesPerSecond: number }[]> {
  const { search } = await readJson(path, schema);
  return Object.entries(search).map(([name, figures]) => ({
    name,
    candidatesPerSecond: median(figures.candidates_per_s),
  }));
}
