/** A trained network's graph as it is run and measured: nothing in it that only training needs. */
import type { Graph } from '../../graph/graph.js';
import { foldBatchNorm } from './foldBatchNorm.js';
import { inferenceForms } from './inferenceForms.js';

/** The same function. What is exported and what is measured must both pass through here, or they differ. */
export const forInference = (graph: Graph): Graph => inferenceForms(foldBatchNorm(graph));
