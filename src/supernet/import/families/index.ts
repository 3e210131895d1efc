/** Families whose tensors other implementations name: add a line to add one. */
import type { ForeignFamily } from '../family.js';
import { mbconv } from './mbconv.js';
import { resnet } from './resnet.js';

const all = [mbconv, resnet];

/** By the `family` of the space. */
export const foreignFamilies: ReadonlyMap<string, ForeignFamily> = new Map(
  all.map((family) => [family.family, family]),
);
