import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEncoder, encodings } from '../../src/accuracy/encoding.js';
import { canonical } from '../../src/space/canonical.js';
import { networkCosts } from '../../src/space/costs.js';
import { enumerateArchitectures } from '../../src/space/enumerate.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace, smallSpace, tinyResnet } from '../support/spaces.js';

const large = shippedSpace('ofa-mbv3');

const spaces = [large, shippedSpace('ofa-resnet50')];
const cases = [...encodings.keys()].flatMap((name) => spaces.map((space) => ({ name, space })));

describe.each(cases)('encoding $name of $space.name', ({ name, space }) => {
  it('gives the same vector to architectures of the same network', () => {
    const encoder = createEncoder(name, space);
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const arch = sampleArchitecture(space.genes, createRandom(seed));
        const vector = encoder.encode(arch);
        expect(vector.length).toBe(encoder.labels.length);
        expect(vector.every(Number.isFinite)).toBe(true);
        expect(encoder.encode(canonical(space.genes, arch))).toEqual(vector);
      }),
      { numRuns: 40 },
    );
  });

  it('has a label for every place, each once', () => {
    const { labels } = createEncoder(name, space);
    expect(new Set(labels).size).toBe(labels.length);
  });
});

describe.each(['one-hot', 'ordinal'])('encoding %s', (name) => {
  it('gives different vectors to different networks', () => {
    for (const space of [smallSpace(), tinyResnet()]) {
      const encoder = createEncoder(name, space);
      const archs = [...enumerateArchitectures(space.genes)];
      expect(new Set(archs.map((arch) => encoder.encode(arch).join())).size).toBe(archs.length);
    }
  });

  it('refuses a value that the space does not have', () => {
    expect(() => createEncoder(name, large).encode({ ...large.largest, imageSize: 225 })).toThrow(
      /image_size must be one of .* current value is 225/,
    );
  });
});

describe('one-hot', () => {
  it('has one 1 for every active gene', () => {
    const encoder = createEncoder('one-hot', large);
    const { labels } = encoder;
    expect(labels.length).toBe(25 + 15 + 60 + 60);
    const arch = { ...large.largest, imageSize: 132, d: [4, 3, 2, 4, 3] };
    const vector = encoder.encode(arch);
    expect(vector.reduce((a, b) => a + b)).toBe(1 + 5 + 2 * 16);
    const on = labels.filter((_, i) => vector[i] === 1);
    expect(on).toContain('image_size=132');
    expect(on).toContain('ks[6]=7');
    expect(on).not.toContain('ks[7]=7');
  });
});

describe('features', () => {
  it('are the figures of the network', () => {
    const encoder = createEncoder('features', large);
    const { labels } = encoder;
    const arch = {
      ...large.largest,
      d: [2, 4, 4, 4, 4],
      ks: [3, 5, 7, 7, ...large.largest.ks.slice(4)],
      e: [3, 4, 6, 6, ...large.largest.e.slice(4)],
    };
    const at = (label: string) => encoder.encode(arch)[labels.indexOf(label)];
    expect(at('mean ks, stage 0')).toBe(4);
    expect(at('mean e, stage 0')).toBe(3.5);
    expect(at('d[0]')).toBe(2);
    expect(at('image_size')).toBe(224);
    expect(at('log MACs')).toBeCloseTo(Math.log(networkCosts(large.network(arch)).macs), 4);
  });
});

describe('createEncoder', () => {
  it('names the encodings that exist', () => {
    expect(() => createEncoder('x', large)).toThrow(
      'Unknown encoding "x": known are combined, features, one-hot, ordinal',
    );
  });
});
