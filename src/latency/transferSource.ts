/** What is known of another device: its latencies as a rule that needs neither its table nor its measurements. */
import { z } from 'zod';
import { geneWeightsSchema } from './geneWeights.js';
import { nameSchema } from '../util/names.js';

export const transferSourceSchema = z.strictObject({
  device: nameSchema,
  /** Latency in ms is linear in `geneFeatures`. */
  weights: geneWeightsSchema,
});
export type TransferSource = z.infer<typeof transferSourceSchema>;
