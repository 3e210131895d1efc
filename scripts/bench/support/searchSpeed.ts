/**
 * How fast evolution goes where evaluating is predicting: OFA's MobileNetV3 space, a perceptron of 3 x 400 as OFA's, the
 * Note10's table of latencies, half of all networks within the limit, 500 generations of 100.
 */
import type { Engine } from '../../../src/engine/engine.js';
import { latencyFunction, openLatencyTable } from '../../../src/latency/query.js';
import { tablePath } from '../../../src/latency/table.js';
import { predictedAccuracy } from '../../../src/pipeline/predictedAccuracy.js';
import { latencyQuantity } from '../../../src/search/quantity.js';
import { searchObjectives } from '../../../src/search/search.js';
import { createEvolution, evolution, evolutionDefaults } from '../../../src/search/strategies/evolution.js';
import { sampleArchitecture } from '../../../src/space/sampling.js';
import { createRandom } from '../../../src/util/random.js';
import { median } from './machine.js';
import { untrainedPerceptron } from './perceptron.js';

const GENERATIONS = 500;

export interface SearchSpeed {
  /** Networks whose accuracy was predicted. */
  readonly candidates: number;
  /** Of each search, the first aside, which compiles. */
  readonly seconds: readonly number[];
  readonly candidatesPerSecond: number;
  readonly limitMs: number;
}

export async function measureSearchSpeed(engine: Engine, repeat: number): Promise<SearchSpeed> {
  const query = await openLatencyTable(tablePath('note10', 'ofa-mbv3'));
  const { space } = query;
  const latencyMs = latencyFunction(query);
  const chance = createRandom(0, 'bench limit');
  const samples = Array.from({ length: 501 }, () => sampleArchitecture(space.genes, chance));
  const limitMs = median(latencyMs(samples));
  const { predictor } = untrainedPerceptron(space, engine);
  const seconds: number[] = [];
  let candidates = 0;
  for (let round = -1; round < repeat; round++) {
    const start = performance.now();
    const { evaluated } = await searchObjectives({
      space,
      objectives: [predictedAccuracy(predictor)],
      // A new one every time: what a search finds out about sums is part of its work.
      constraints: [{ quantity: latencyQuantity(latencyMs), limit: limitMs }],
      strategy: { ...evolution, create: (context) => createEvolution(context, evolutionDefaults) },
      budget: evolutionDefaults.populationSize * (GENERATIONS + 1),
      seed: Math.max(0, round),
    });
    candidates = evaluated;
    if (round >= 0) seconds.push((performance.now() - start) / 1000);
  }
  await predictor.dispose();
  return { candidates, seconds, candidatesPerSecond: candidates / median(seconds), limitMs };
}
