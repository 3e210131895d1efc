/**
 * NAS-Bench-201's space: cells of four nodes, each pair of them joined by one of five operations (Dong and Yang,
 * "NAS-Bench-201: extending the scope of reproducible neural architecture search", ICLR 2020; github.com/D-X-Y/NAS-Bench-201).
 * Its strings list the edges into each node after the first, with the node they come from:
 * `|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|`.
 */
import { z } from 'zod';
import type { Architecture } from '../../space/architecture.js';
import type { Gene } from '../../space/gene.js';
import { UserError } from '../../util/errors.js';
import { readJson } from '../../util/files.js';
import { tabularBenchmark, type TabularBenchmark } from './tabular.js';

/** In the authors' order (`NAS_BENCH_201` in `lib/models/cell_operations.py`). */
export const NB201_OPERATIONS = [
  'none',
  'skip_connect',
  'nor_conv_1x1',
  'nor_conv_3x3',
  'avg_pool_3x3',
] as const;

/** Nodes after the first; node n has edges from nodes 0 to n. */
const NODES = 3;
const EDGES = (NODES * (NODES + 1)) / 2;
/** Pixels of CIFAR images. */
const IMAGE_SIZE = 32;

/** `ks[edge]` is the index of the edge's operation, edges in the order of the strings. */
export const nasBench201Genes: readonly Gene[] = [
  { list: 'imageSize', index: 0, choices: [IMAGE_SIZE], group: 'resolution' },
  ...Array.from({ length: EDGES }, (_, edge): Gene => ({
    list: 'ks',
    index: edge,
    choices: NB201_OPERATIONS.map((_operation, i) => i),
    group: `edge${edge}`,
  })),
];

/** Throws UserError for text that is no cell, naming what is wrong. */
export function parseNasBench201(text: string): Architecture {
  const wrong = (wanted: string, current: string): UserError =>
    new UserError(`Cannot read "${text}" as a cell of NAS-Bench-201: ${wanted}: current value is ${current}`);
  const nodes = text.split('+');
  if (nodes.length !== NODES) throw wrong(`${NODES} nodes joined by "+" are wanted`, `${nodes.length}`);
  const ks = nodes.flatMap((node, n) => {
    const parts = node.split('|');
    if (parts.length !== n + 3 || parts[0] !== '' || parts[n + 2] !== '')
      throw wrong(`node ${n + 1} must have ${n + 1} edges between "|"`, `"${node}"`);
    return parts.slice(1, -1).map((edge, from) => {
      const name = edge.endsWith(`~${from}`) ? edge.slice(0, -`~${from}`.length) : undefined;
      const operation = NB201_OPERATIONS.findIndex((known) => known === name);
      if (operation < 0)
        throw wrong(
          `edge ${from} of node ${n + 1} must be one of ${NB201_OPERATIONS.join(', ')}, then "~${from}"`,
          `"${edge}"`,
        );
      return operation;
    });
  });
  return { imageSize: IMAGE_SIZE, ks, e: [], d: [] };
}

/** The string of an architecture of `nasBench201Genes`. */
export function nasBench201Text({ ks }: Architecture): string {
  let edge = 0;
  return Array.from({ length: NODES }, (_, n) => {
    const edges = Array.from(
      { length: n + 1 },
      (_unused, from) => `${NB201_OPERATIONS[ks[edge++]!]!}~${from}`,
    );
    return `|${edges.join('|')}|`;
  }).join('+');
}

export const nasBench201Schema = z.strictObject({
  format: z.literal('ofakit.nas-bench-201/1'),
  /** What the networks were trained on, e.g. `cifar10-valid`. */
  dataset: z.string().min(1),
  /** Where the figures are from: file of the benchmark, epochs, seeds. */
  source: z.string().exactOptional(),
  /** By the benchmark's string. */
  entries: z.record(
    z.string(),
    z.strictObject({
      top1: z.number().min(0).max(1),
      macs: z.number().positive().exactOptional(),
      params: z.number().nonnegative().exactOptional(),
      /** Of inference, by device. */
      latencyMs: z.record(z.string(), z.number().positive()).exactOptional(),
    }),
  ),
});

/** A table in the form of docs/formats.md. Throws UserError. */
export async function readNasBench201(path: string): Promise<TabularBenchmark> {
  const { dataset, entries } = await readJson(path, nasBench201Schema);
  return tabularBenchmark(
    `nas-bench-201 ${dataset}`,
    nasBench201Genes,
    Object.entries(entries).map(([text, { latencyMs = {}, ...values }]) => ({
      architecture: inFile(path, text),
      values: {
        ...values,
        ...Object.fromEntries(Object.entries(latencyMs).map(([device, ms]) => [`latencyMs.${device}`, ms])),
      },
    })),
  );
}

/** The architecture of a string in a file. Throws UserError naming both. */
export function inFile(path: string, text: string): Architecture {
  try {
    return parseNasBench201(text);
  } catch (cause) {
    if (!(cause instanceof UserError)) throw cause;
    throw new UserError(`Cannot use ${path}: ${cause.message}`, { cause });
  }
}
