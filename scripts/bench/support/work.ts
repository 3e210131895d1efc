/** What a training step has to do, from its graph alone: how fast the machine could be at best follows from its peaks. */
import type { Graph } from '../../../src/graph/graph.js';
import { backwardGraph } from '../../../src/graph/network.js';
import { reshapeOperation } from '../../../src/graph/operations/shape.js';
import { networkCosts } from '../../../src/space/costs.js';
import type { Network } from '../../../src/space/network.js';
import { sizeOf } from '../../../src/util/tensor.js';
import type { Peaks } from './peaks.js';

const FLOAT_BYTES = 4;

export interface StepWork {
  /** Multiplications and additions of convolutions and products: forward, and twice that backward. */
  readonly gflop: number;
  /** Read and written by the operations of the graph, each its inputs and outputs once, and by the update. */
  readonly gigabytes: number;
}

/** Bytes that every operation's inputs and outputs have, those of reshaping apart, as it moves nothing. */
export const touchedBytes = ({ nodes }: Graph): number =>
  nodes
    .filter(({ operation }) => operation.name !== reshapeOperation.name)
    .flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
    .reduce((sum, { shape }) => sum + FLOAT_BYTES * sizeOf(shape), 0);

/** `updated`: numbers that the optimiser moves: it reads and writes each with its gradient and its momentum. */
export function stepWork(network: Network, batch: number, updated: number): StepWork {
  const graph = backwardGraph(network.blocks, batch, { loss: true, inputGradient: false });
  return {
    gflop: (3 * 2 * networkCosts(network).macs * batch) / 1e9,
    gigabytes: (touchedBytes(graph) + 2 * 3 * FLOAT_BYTES * updated) / 1e9,
  };
}

export interface Shares {
  readonly gflop: number;
  readonly gigabytes: number;
  /** What the arithmetic would take at the machine's peak, and the traffic at its. */
  readonly arithmeticMs: number;
  readonly trafficMs: number;
  /** What is left of the step where neither hides behind the other. */
  readonly remainingMs: number;
}

export function sharesOf(work: StepWork, peaks: Peaks, stepMs: number): Shares {
  const arithmeticMs = (1000 * work.gflop) / peaks.gflops;
  const trafficMs = (1000 * work.gigabytes) / peaks.gbPerSecond;
  return { ...work, arithmeticMs, trafficMs, remainingMs: stepMs - arithmeticMs - trafficMs };
}

export const describeShares = ({ gflop, gigabytes, arithmeticMs, trafficMs, remainingMs }: Shares): string =>
  `${gflop.toFixed(1)} GFLOP ${arithmeticMs.toFixed(0)} ms, ${gigabytes.toFixed(2)} GB ${trafficMs.toFixed(0)} ms at the peaks, ${remainingMs.toFixed(0)} ms beyond`;
