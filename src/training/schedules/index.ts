/** All presets: add a line to add one. Typed where they are loaded: a schedule is data. */
import { progressive } from './progressive.js';
import { random } from './random.js';
import { sandwich } from './sandwich.js';

export const schedules: ReadonlyMap<string, unknown> = new Map(
  [progressive, sandwich, random].map((schedule) => [schedule.name, schedule]),
);
