import { describe, expect, it } from 'vitest';
import { canonical } from '../../src/space/canonical.js';
import { countNetworks } from '../../src/space/enumerate.js';
import { listSpaces } from '../../src/space/presets.js';
import { networkParameters } from '../../src/space/parameters.js';
import { sampleArchitecture } from '../../src/space/sampling.js';
import { createSpace, spaceOfOne } from '../../src/space/space.js';
import { extractSubnet, staticNetwork } from '../../src/supernet/subnet.js';
import { initialiseWeights, storedParameters, tensorProblems } from '../../src/supernet/weights.js';
import { UserError } from '../../src/util/errors.js';
import { createRandom } from '../../src/util/random.js';
import { shippedSpace, smallSpace } from '../support/spaces.js';

describe('spaceOfOne', () => {
  it.each(listSpaces())('%s: holds the network that is cut out, and nothing else', (name) => {
    const space = shippedSpace(name);
    for (let i = 0; i < 5; i++) {
      const arch = sampleArchitecture(space.genes, createRandom('only', name, i));
      const one = spaceOfOne(space, arch);
      expect(countNetworks(one.genes)).toBe(1n);
      expect(one.largest).toEqual(canonical(space.genes, arch));
      expect(one.smallest).toEqual(one.largest);
      const network = staticNetwork(space.network(arch));
      expect(one.network(arch)).toEqual(network);
      expect(storedParameters(one)).toEqual(networkParameters(network, 'used'));
    }
  });

  it('stores exactly the tensors of the subnet that is cut out', () => {
    const space = smallSpace();
    const arch = sampleArchitecture(space.genes, createRandom('tensors'));
    const tensors = extractSubnet(initialiseWeights(space, 0), space.network(arch));
    expect(tensorProblems(tensors, storedParameters(spaceOfOne(space, arch)))).toEqual([]);
  });

  it('is the same after it went through a file, and with other classes', () => {
    const space = smallSpace();
    const one = spaceOfOne(space, space.smallest, { classes: 3 });
    expect(one.parameters.classes).toBe(3);
    const read = createSpace(JSON.parse(JSON.stringify(one.file)));
    expect(read.genes).toEqual(one.genes);
    expect(read.network(read.largest)).toEqual(one.network(one.largest));
    expect(spaceOfOne(one, one.largest).file).toEqual(one.file);
  });

  it('refuses other architectures: those of the space, and those outside', () => {
    const space = smallSpace();
    const one = spaceOfOne(space, space.smallest);
    expect(() => one.network(space.largest)).toThrow(RangeError);
    const outside = { ...space.largest, ks: space.largest.ks.map(() => 4) };
    expect(() => spaceOfOne(space, outside)).toThrow(/ks\[0\] must be one of 3, 5: current value is 4/);
    const file = { ...one.file, only: { ...one.file.only, image_size: 17 } };
    expect(() => createSpace(file)).toThrow(UserError);
    expect(() => createSpace(file)).toThrow(/at "only": .*image_size must be one of 16, 24/);
  });
});
