/** All families: add a line to add one. */
import type { SpaceFamily } from '../family.js';
import { mbconv } from './mbconv.js';
import { resnet } from './resnet.js';

const all = [mbconv, resnet];

/** Families by the name that space.json gives in `family`. Their definitions are opaque outside their own file. */
export const families: ReadonlyMap<string, SpaceFamily<unknown>> = new Map(
  all.map((family) => [family.name, family as SpaceFamily<unknown>]),
);
