/** Networks as rows for learners. */
import type { NetworkFacts, PredictorContext } from './context.js';
import { FEATURE_NAMES } from './features.js';
import { geneValues } from './geneFeatures.js';

/** How often the image is halved before a block, 0 to 5: stages that any family has. */
const SCALES = 6;

/** Share of the table's sum that blocks at each scale have: what a correction of the whole sum cannot tell apart. */
function shares({ network, blocksMs, tableSumMs }: NetworkFacts): number[] {
  const list = new Array<number>(SCALES).fill(0);
  network.blocks.forEach(({ input }, i) => {
    const halvings = Math.round(Math.log2(network.input.height / input.height));
    list[Math.min(SCALES - 1, Math.max(0, halvings))]! += blocksMs[i]! / tableSumMs;
  });
  return list;
}

const fromTable = (facts: NetworkFacts, { hasTable }: PredictorContext): number[] =>
  hasTable ? [Math.log(facts.tableSumMs), ...shares(facts)] : [];

/** For learners that find thresholds and curves themselves. */
export function describeByValues(facts: NetworkFacts, context: PredictorContext): number[] {
  const features = FEATURE_NAMES.map((name) => Math.log1p(facts.features[name]));
  return [...features, ...geneValues(context.space.genes, facts.architecture), ...fromTable(facts, context)];
}

/** For learners that are linear. */
export function describeByChoices(facts: NetworkFacts, context: PredictorContext): number[] {
  return [...facts.genes, ...fromTable(facts, context)];
}
