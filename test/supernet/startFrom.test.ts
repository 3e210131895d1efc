import { describe, expect, it } from 'vitest';
import { createSpace } from '../../src/space/space.js';
import { startFrom } from '../../src/supernet/startFrom.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { UserError } from '../../src/util/errors.js';
import { tensor } from '../../src/util/tensor.js';
import { smallSpace } from '../support/spaces.js';

const space = smallSpace();
const source = initialiseWeights(space, 'source');
const head = [...source.keys()].slice(-2);

describe('startFrom', () => {
  it('takes the tensors of the same space, in memory of their own', () => {
    const { weights, newHead } = startFrom(space, source, 0, 'a run');
    expect(newHead).toBe(false);
    expect(weights).toEqual(source);
    for (const [name, { data }] of weights) expect(data.buffer).not.toBe(source.get(name)!.data.buffer);
  });

  it('begins the last layer anew, from the seed, where the number of classes is another', () => {
    const other = createSpace(space.file, { classes: space.parameters.classes + 3 });
    const { weights, newHead } = startFrom(other, source, 5, 'a run');
    expect(newHead).toBe(true);
    expect(head.map((name) => name.replace(/.*\./, ''))).toEqual(['weight', 'bias']);
    const fresh = initialiseWeights(other, 5);
    expect([...weights.keys()]).toEqual([...fresh.keys()]);
    for (const [name, found] of weights) {
      expect(found).toEqual(head.includes(name) ? fresh.get(name) : source.get(name));
    }
  });

  it('lists every tensor that does not fit, and no other', () => {
    const wrong = new Map(source);
    const [first, second] = [...source.keys()];
    wrong.delete(first!);
    wrong.set(second!, tensor([1]));
    wrong.set('foreign.weight', tensor([1]));
    const start = () => startFrom(space, wrong, 0, 'a run');
    expect(start).toThrow(UserError);
    expect(start).toThrow(/^Cannot start from a run: its tensors must be those of space "small":\n/);
    const names = (() => {
      try {
        return start();
      } catch (error) {
        return (error as Error).message.split('\n').slice(1);
      }
    })();
    expect(names).toEqual([
      expect.stringContaining(`missing: ${first!} `) as string,
      expect.stringContaining(`wrong shape: ${second!} `) as string,
      '  unexpected: foreign.weight',
    ]);
  });

  it('does not take a classifier of other features for one of other classes', () => {
    const wrong = new Map(source);
    const [weight] = head;
    const { shape } = source.get(weight!)!;
    wrong.set(weight!, tensor([shape[0]! + 1, shape[1]! + 1]));
    expect(() => startFrom(space, wrong, 0, 'a run')).toThrow(`wrong shape: ${weight!} `);
  });
});
