/** Differentiable search over single paths: its gradients, what it finds, and that it goes on where it was stopped. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ChoicePolicy } from '../../src/search/choicePolicy.js';
import { expectedExcess, searchPaths, type PathSearchOptions } from '../../src/search/paths.js';
import type { Architecture } from '../../src/space/architecture.js';
import { architectureKey } from '../../src/space/canonical.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { Genome } from '../../src/space/genotype.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { landscape } from '../support/landscape.js';
import { smallSpace } from '../support/spaces.js';
import '../support/matchers.js';

const space = smallSpace();
const { genes } = space;
const genome = new Genome(genes);
const land = landscape(space, 1);
const all = [...enumerateArchitectures(genes)];
const limit = land.latencyMs(all).sort((a, b) => a - b)[Math.floor(all.length / 4)]!;
const excess = (archs: readonly Architecture[]): number[] =>
  land.latencyMs(archs).map((ms) => Math.max(0, ms / limit - 1));

const root = mkdtempSync(join(tmpdir(), 'ofakit-paths-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function disturbed(seed: string): ChoicePolicy {
  const policy = new ChoicePolicy(genome);
  const random = createRandom(seed);
  for (const own of policy.logits) for (let i = 0; i < own.length; i++) own[i] = random.normal();
  return policy;
}

/** Over all combinations of choices, each with its probability. */
function exactExpectation(policy: ChoicePolicy, f: (arch: Architecture) => number): number {
  const p = policy.logits.map((_, gene) => policy.probabilities(gene));
  let sum = 0;
  const walk = (gene: number, chosen: number[], probability: number): void => {
    if (gene === p.length) sum += probability * f(genome.decode(Uint8Array.from(chosen)));
    else p[gene]!.forEach((own, i) => walk(gene + 1, [...chosen, i], probability * own));
  };
  walk(0, [], 1);
  return sum;
}

describe('the expected excess over limits', () => {
  it('has an unbiased gradient', async () => {
    const policy = disturbed('excess');
    const known = new Map(all.map((arch) => [architectureKey(genes, arch), excess([arch])[0]!]));
    const look = (arch: Architecture): number => known.get(architectureKey(genes, arch))!;
    const random = createRandom('samples');
    const genotypes = Array.from({ length: 4000 }, () => policy.sample(random));
    const { mean, gradient } = await expectedExcess(policy, genotypes, (archs) =>
      Promise.resolve(archs.map(look)),
    );
    expect(mean).toBeCloseTo(exactExpectation(policy, look), 1);
    const h = 1e-4;
    const wanted = policy.logits.map((own, gene) =>
      own.map((v, i) => {
        const at = (value: number): number => {
          const moved = new ChoicePolicy(genome);
          policy.logits.forEach((other, g) => moved.logits[g]!.set(other));
          moved.logits[gene]![i] = value;
          return exactExpectation(moved, look);
        };
        return (at(v + h) - at(v - h)) / (2 * h);
      }),
    );
    expect(gradient.flatMap((own) => [...own])).toBeAllclose(
      wanted.flatMap((own) => [...own]),
      { relative: 0.08, absolute: 0 },
    );
  });
});

/** Losses that differ from step to step, as batches do. */
function losses(asked?: number[]): PathSearchOptions['losses'] {
  return (archs, step) => {
    asked?.push(step);
    const noise = createRandom('batch', step).normal();
    return Promise.resolve(land.accuracy(archs).map((accuracy) => 1 - accuracy / 100 + 0.2 * noise));
  };
}
const violations = (archs: readonly Architecture[]): Promise<number[]> => Promise.resolve(excess(archs));
const settings = { steps: 250, paths: 4, learningRate: 0.05, limitWeight: 3 };

describe('a search over single paths', () => {
  it('comes to prefer networks of the best few percent, whatever batches add to their losses', async () => {
    const { policy, history } = await searchPaths({ genes, seed: 0, settings, losses: losses() });
    const own = land.accuracy([genome.decode(policy.mode())])[0]!;
    expect(land.accuracy(all).filter((accuracy) => accuracy > own).length).toBeLessThan(0.05 * all.length);
    expect(history).toHaveLength(250);
    expect(history[249]!.uncertainty).toBeLessThan(0.7 * history[0]!.uncertainty);
    expect(history.every((step) => step.excess === 0)).toBe(true);
  });

  it('keeps to limits, and gets near the best within them', async () => {
    const { policy, history } = await searchPaths({ genes, seed: 0, settings, losses: losses(), violations });
    const mode = genome.decode(policy.mode());
    expect(excess([mode])[0]).toBeLessThan(0.02);
    expect(history[249]!.excess).toBeLessThan(0.25 * history[0]!.excess);
    const within = all.filter((arch) => excess([arch])[0]! <= excess([mode])[0]!);
    const own = land.accuracy([mode])[0]!;
    expect(land.accuracy(within).filter((accuracy) => accuracy > own).length).toBeLessThan(
      0.15 * within.length,
    );
  });

  it('goes on where it was stopped, to the same result, asking nothing twice', async () => {
    const origin = { weights: 'abc', images: 64 };
    const whole = await searchPaths({ genes, seed: 3, settings, losses: losses(), violations });
    const path = join(root, 'stopped.jsonl');
    const stop = new AbortController();
    const asked: number[] = [];
    const stopping: PathSearchOptions['losses'] = (archs, step) => {
      if (step === 99) stop.abort(new Error('stopped'));
      return losses(asked)(archs, step);
    };
    const options = { genes, seed: 3, settings, violations, journal: { path, origin } };
    await expect(searchPaths({ ...options, losses: stopping, signal: stop.signal })).rejects.toThrow(
      'stopped',
    );
    // As a kill leaves it.
    appendFileSync(path, '{"step":100,"los');
    const resumed = await searchPaths({ ...options, losses: losses(asked) });
    expect(asked).toEqual(Array.from({ length: 250 }, (_, step) => step));
    expect(resumed.policy.logits).toEqual(whole.policy.logits);
    expect(resumed.history).toEqual(whole.history);
    for (const other of [{ seed: 4 }, { journal: { path, origin: { ...origin, weights: 'abd' } } }])
      await expect(searchPaths({ ...options, losses: losses(), ...other })).rejects.toThrow(
        /must be of this search/,
      );
  });

  it('refuses journals that are damaged, whatever the damage', async () => {
    const path = join(root, 'damaged.jsonl');
    const short = { ...settings, steps: 3 };
    const options = { genes, seed: 0, settings: short, losses: losses(), journal: { path, origin: {} } };
    await searchPaths(options);
    const text = readFileSync(path, 'utf8');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 1),
        fc.string({ maxLength: 4 }),
        fc.nat(6),
        async (at, more, cut) => {
          writeFileSync(path, text.slice(0, at) + more + text.slice(at + cut));
          const ended = await searchPaths(options).then(
            () => undefined,
            (error: unknown) => error,
          );
          if (ended !== undefined) expect(ended).toBeInstanceOf(UserError);
        },
      ),
      { numRuns: 150 },
    );
    writeFileSync(path, text.replace('"step":1', '"step":2'));
    await expect(searchPaths(options)).rejects.toThrow(/line 3: it must hold the 4 losses of step 1/);
  });

  it('refuses settings and losses that make no sense', async () => {
    const options = { genes, seed: 0, losses: losses() };
    for (const wrong of [{ paths: 1 }, { paths: 2.5 }, { steps: 0 }])
      await expect(searchPaths({ ...options, settings: wrong })).rejects.toThrow(RangeError);
    const nonsense = { ...options, losses: () => Promise.resolve([1, Number.NaN, 1, 1]) };
    await expect(searchPaths(nonsense)).rejects.toThrow(
      /a finite loss for each of 4 subnets: they are 1, NaN, 1, 1/,
    );
  });
});
