/** Latency as a linear function of `geneFeatures`, in plain data. */
import { z } from 'zod';

export const geneWeightsSchema = z.strictObject({
  intercept: z.number(),
  /** One for each of `geneFeatures`. */
  coefficients: z.array(z.number()),
});
export type GeneWeights = z.infer<typeof geneWeightsSchema>;

/** In ms; above 0. */
export function weighGenes({ intercept, coefficients }: GeneWeights, genes: readonly number[]): number {
  let value = intercept;
  for (let i = 0; i < coefficients.length; i++) value += coefficients[i]! * genes[i]!;
  return Math.max(value, 1e-6);
}
