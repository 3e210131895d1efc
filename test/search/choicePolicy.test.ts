/** A policy over choices: what it draws, and that it is moved along the gradients of log-probability and entropy. */
import { describe, expect, it } from 'vitest';
import { ChoicePolicy } from '../../src/search/choicePolicy.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { Genome } from '../../src/space/genotype.js';
import { createRandom } from '../../src/util/random.js';
import { smallSpace } from '../support/spaces.js';
import '../support/matchers.js';

const genome = new Genome(smallSpace().genes);

/** Logits away from 0. */
function disturbed(seed: string): ChoicePolicy {
  const policy = new ChoicePolicy(genome);
  const random = createRandom(seed);
  for (const logits of policy.logits) for (let i = 0; i < logits.length; i++) logits[i] = random.normal();
  return policy;
}

function probabilities(logits: Float64Array): number[] {
  const powers = [...logits].map(Math.exp);
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((v) => v / total);
}

describe('a policy over choices', () => {
  it('draws choices as often as their probabilities say, and uniformly where it is mixed away', () => {
    const policy = disturbed('frequencies');
    const random = createRandom('draws');
    const draws = 20_000;
    for (const uniform of [0, 0.4, 1]) {
      const counts = policy.logits.map((logits) => new Float64Array(logits.length));
      for (let n = 0; n < draws; n++)
        policy.sample(random, uniform).forEach((choice, gene) => counts[gene]![choice]!++);
      policy.logits.forEach((logits, gene) => {
        const wanted = probabilities(logits).map((p) => (1 - uniform) * p + uniform / logits.length);
        // Five deviations of a binomial.
        expect([...counts[gene]!].map((n) => n / draws)).toBeAllclose(wanted, {
          relative: 0,
          absolute: 0.018,
        });
      });
    }
  });

  it('knows the gradient of the log-probability of the genes that a network has', () => {
    const policy = disturbed('follow');
    const random = createRandom('networks');
    const steps = [0.3, -0.7].map((weight) => ({ genotype: genome.sample(random), weight }));
    // The shallowest network of all lacks genes.
    steps.push({ genotype: new Uint8Array(genome.size), weight: 1.1 });
    const objective = (logits: readonly Float64Array[]): number =>
      steps.reduce(
        (sum, { genotype, weight }) =>
          logits.reduce(
            (s, own, gene) =>
              genome.isActive(genotype, gene)
                ? s + weight * Math.log(probabilities(own)[genotype[gene]!]!)
                : s,
            sum,
          ),
        0,
      );
    expectGradient(
      policy,
      objective,
      policy.gradient(
        steps.map(({ genotype }) => genotype),
        steps.map(({ weight }) => weight),
      ),
    );
  });

  it('knows how likely each network is: the chances of all add up to 1', () => {
    const policy = disturbed('likely');
    let sum = 0;
    for (const arch of enumerateArchitectures(genome.genes))
      sum += Math.exp(policy.logProbability(genome.encode(arch)));
    expect(sum).toBeCloseTo(1, 9);
  });

  it('knows the gradient of the entropy', () => {
    const policy = disturbed('entropy');
    const objective = (logits: readonly Float64Array[]): number =>
      logits.reduce((sum, own) => sum - probabilities(own).reduce((s, p) => s + p * Math.log(p), 0), 0);
    expectGradient(policy, objective, policy.entropyGradient());
  });

  it('has the most likely choices as its mode, and keeps its mind where it is sure', () => {
    const policy = disturbed('mode');
    const mode = policy.mode();
    policy.logits.forEach((logits, gene) => expect(logits[mode[gene]!]).toBe(Math.max(...logits)));
    for (const logits of policy.logits) logits[0] = 1e4;
    for (const part of [...policy.gradient([policy.mode()], [1]), ...policy.entropyGradient()])
      expect(part.every(Number.isFinite)).toBe(true);
    expect(policy.uncertainty()).toBe(0);
    expect(new ChoicePolicy(genome).uncertainty()).toBeCloseTo(1, 12);
    expect(policy.sample(createRandom('sure'))).toEqual(policy.mode());
  });
});

/** The gradient is that of `objective` by central differences. */
function expectGradient(
  policy: ChoicePolicy,
  objective: (logits: readonly Float64Array[]) => number,
  gradient: readonly Float64Array[],
): void {
  const h = 1e-6;
  policy.logits.forEach((own, gene) => {
    const wanted = own.map((v, i) => {
      const at = (value: number): number =>
        objective(policy.logits.map((logits, g) => (g === gene ? logits.with(i, value) : logits)));
      return (at(v + h) - at(v - h)) / (2 * h);
    });
    expect(gradient[gene]).toBeAllclose(wanted, { relative: 1e-6, absolute: 1e-8 });
  });
}
