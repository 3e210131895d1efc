/** A fitted predictor as what searches ask: architectures by the hundred thousand go straight into its rows. */
import { accuracyFunction, type AccuracyPredictor } from '../accuracy/predictor.js';
import { accuracyQuantity, type GenotypeFunction, type Quantity } from '../search/quantity.js';
import { geneLabel } from '../space/gene.js';
import type { Genome } from '../space/genotype.js';

/** Accuracies as `predictor` predicts them: fractions. */
export function predictedAccuracy(predictor: AccuracyPredictor): Quantity {
  return {
    ...accuracyQuantity(accuracyFunction(predictor)),
    forGenome: (genome) => oneHotFunction(predictor, genome),
  };
}

/** Where the predictor's places are choices of genes, as in the one-hot encoding; undefined where they are not. */
function oneHotFunction(predictor: AccuracyPredictor, genome: Genome): GenotypeFunction | undefined {
  const { labels } = predictor;
  if (labels.length === 0) return undefined;
  const places = new Map(labels.map((label, place) => [label, place]));
  const genes = genome.genes.map((gene) =>
    Int32Array.from(gene.choices, (choice) => places.get(`${geneLabel(gene)}=${choice}`) ?? -1),
  );
  const names = new Set(genome.genes.map(geneLabel));
  const known = labels.every((label) => names.has(label.slice(0, label.lastIndexOf('='))));
  // A gene whose choices have no places says nothing; one that has only some of them is another encoding.
  if (!known || genes.some((own) => own.includes(-1) && own.some((place) => place >= 0))) return undefined;
  const told = [...genes.entries()].filter(([, own]) => !own.includes(-1));
  const [indices, tables] = [told.map(([gene]) => gene), told.map(([, own]) => own)];
  const width = labels.length;
  return async (genotypes) => {
    const rows = new Float32Array(genotypes.length * width);
    for (let i = 0; i < genotypes.length; i++) {
      const genotype = genotypes[i]!;
      const start = i * width;
      for (let t = 0; t < indices.length; t++) {
        const gene = indices[t]!;
        if (genome.isActive(genotype, gene)) rows[start + tables[t]![genotype[gene]!]!] = 1;
      }
    }
    return (await predictor.predictRows(rows)).mean;
  };
}
