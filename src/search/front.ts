/** A Pareto front as files hold it: which objectives it trades, under which limits, and every network on it. */
import { z } from 'zod';
import { architectureFileSchema } from '../space/architecture.js';
import { PICK_RULES } from './pick.js';
import { nameSchema } from '../util/names.js';

const name = z.string().min(1);

export const frontFileSchema = z.strictObject({
  format: z.literal('ofakit.front/1'),
  space: nameSchema,
  strategy: name,
  seed: z.number().int(),
  /** Distinct networks whose objectives were asked. */
  evaluated: z.number().nonnegative(),
  objectives: z
    .array(z.strictObject({ name, unit: z.string(), direction: z.enum(['minimize', 'maximize']) }))
    .nonempty(),
  limits: z.array(z.strictObject({ name, limit: z.number() })),
  picked: z
    .strictObject({
      rule: z.enum(PICK_RULES),
      /** In `points`, from 0. */
      index: z.number().int().nonnegative(),
    })
    .optional(),
  points: z
    .array(
      z.strictObject({
        architecture: architectureFileSchema,
        /** By name: the objectives, and what else is known. */
        values: z.record(name, z.number()),
      }),
    )
    .nonempty(),
});
export type FrontFile = z.infer<typeof frontFileSchema>;

/** RFC 4180: quoted where it holds a comma, a quote or a line's end. */
const cell = (value: string | number): string =>
  /[",\r\n]/.test(`${value}`) ? `"${`${value}`.replaceAll('"', '""')}"` : `${value}`;

/** A line a network: its values, the objectives first; whether it is the picked one (1 or 0); the architecture as JSON. */
export function frontCsv({ objectives, points, picked }: FrontFile): string {
  const names = objectives.map((objective) => objective.name);
  for (const other of Object.keys(points[0]?.values ?? {})) if (!names.includes(other)) names.push(other);
  const lines = points.map(({ values, architecture }, i) => [
    ...names.map((own) => values[own] ?? ''),
    ...(picked === undefined ? [] : [i === picked.index ? 1 : 0]),
    JSON.stringify(architecture),
  ]);
  const header = [...names, ...(picked === undefined ? [] : ['picked']), 'architecture'];
  return [header, ...lines].map((line) => `${line.map(cell).join(',')}\r\n`).join('');
}
