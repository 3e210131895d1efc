import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  loadCheckpoint,
  saveCheckpoint,
  sweepCheckpoint,
  type CheckpointDisk,
  type CheckpointState,
} from '../../src/supernet/checkpoint.js';
import { encodeSafetensors } from '../../src/supernet/safetensors.js';
import { initialiseWeights } from '../../src/supernet/weights.js';
import { UserError } from '../../src/util/errors.js';
import { writeAtomic } from '../../src/util/files.js';
import { sweepTemporaries } from '../../src/util/temporaries.js';
import { tensor } from '../../src/util/tensor.js';
import { smallSpace } from './spaces.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ofakit-checkpoint-'));
});
afterEach(() => rm(folder, { recursive: true }));

const space = smallSpace();

function state(step: number, optimizer = true): CheckpointState {
  return {
    space,
    weights: initialiseWeights(space, step),
    ...(optimizer ? { optimizer: new Map([['momentum', tensor([2], Float32Array.of(step, -step))]]) } : {}),
    data: { name: 'digits', folder: null },
    position: { step, phases: ['kernel', { epoch: step / 2 }] },
  };
}

/** Everything but functions, to compare. */
async function loaded(from = folder): Promise<unknown> {
  const { space: s, weightsSha256, ...rest } = await loadCheckpoint(from);
  expect(weightsSha256).toMatch(/^[0-9a-f]{64}$/);
  return { ...rest, space: s.file };
}
const plain = ({ space: s, ...rest }: CheckpointState): unknown => ({ ...rest, space: s.file });

class Killed extends Error {}

const deadPid = spawnSync(process.execPath, ['--version']).pid;

/** A real disk that dies at operation `at`: a write in flight leaves part of its temporary file, as a kill does. */
function dyingDisk(at: number): { disk: CheckpointDisk; operations: () => number } {
  let done = 0;
  const step = async (cut: () => Promise<void>, operation: () => Promise<void>): Promise<void> => {
    if (done > at) throw new Error('The dead do nothing');
    if (done++ === at) {
      await cut();
      throw new Killed();
    }
    await operation();
  };
  const disk: CheckpointDisk = {
    write: (path, content) =>
      step(
        () => writeFile(`${path}.${deadPid}-0-4.tmp`, content.subarray(0, content.length >> 1)),
        () => writeAtomic(path, content),
      ),
    list: (where) => readdir(where),
    remove: (path) =>
      step(
        () => Promise.resolve(),
        () => rm(path),
      ),
  };
  return { disk, operations: () => done };
}

describe('saveCheckpoint and loadCheckpoint', () => {
  it('round trip, with and without an optimiser', async () => {
    for (const saved of [state(1), state(2, false), state(3)]) {
      await saveCheckpoint(folder, saved);
      expect(await loaded()).toEqual(plain(saved));
    }
  });

  it('rebuild the space, overrides and all', async () => {
    const { createSpace } = await import('../../src/space/space.js');
    const wide = createSpace(space.file, { width: 2, classes: 3, imageSizes: [8] });
    await saveCheckpoint(folder, { ...state(1), space: wide, weights: initialiseWeights(wide, 1) });
    const again = (await loadCheckpoint(folder)).space;
    expect(again.network(again.largest)).toEqual(wide.network(wide.largest));
    expect(again.parameters.classes).toBe(3);
  });

  it('leave nothing of earlier saves, and other files alone', async () => {
    const foreign = ['metrics.jsonl', 'report.html', 'subnet.safetensors', 'supernet.json.bak'];
    for (const name of foreign) await writeFile(join(folder, name), 'mine');
    await saveCheckpoint(folder, state(1));
    await saveCheckpoint(folder, state(2, false));
    const names = (await readdir(folder)).filter((name) => !foreign.includes(name));
    expect(names).toHaveLength(2);
    expect(names).toContain('supernet.json');
    for (const name of foreign) expect(await readFile(join(folder, name), 'utf8')).toBe('mine');
  });

  it('give the hash that the file has', async () => {
    const { createHash } = await import('node:crypto');
    const hash = await saveCheckpoint(folder, state(4));
    const wanted = createHash('sha256')
      .update(encodeSafetensors(state(4).weights))
      .digest('hex');
    expect(hash).toBe(wanted);
    expect((await loadCheckpoint(folder)).weightsSha256).toBe(wanted);
  });
});

describe('a kill during a save', () => {
  it('between or within any two operations leaves the old or the new checkpoint, and the next start cleans up', async () => {
    const [older, newer, next] = [state(1), state(2), state(3)];
    const outcomes: string[] = [];
    for (let at = 0; ; at++) {
      const run = join(folder, `run${at}`);
      await saveCheckpoint(run, older);
      const { disk, operations } = dyingDisk(at);
      const survived = await saveCheckpoint(run, newer, disk).then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(Killed);
          return false;
        },
      );
      const found = await loaded(run);
      const isNew = JSON.stringify((found as CheckpointState).position) === JSON.stringify(newer.position);
      expect(found).toEqual(plain(isNew ? newer : older));
      outcomes.push(isNew ? 'new' : 'old');
      await sweepCheckpoint(run);
      await sweepTemporaries(run);
      expect(await loaded(run)).toEqual(found);
      await saveCheckpoint(run, next);
      expect(await loaded(run)).toEqual(plain(next));
      expect(await readdir(run)).toHaveLength(3);
      if (survived) {
        expect(operations()).toBe(at);
        break;
      }
    }
    // Weights, optimiser, JSON; then the two old files go.
    expect(outcomes).toEqual(['old', 'old', 'old', 'new', 'new', 'new']);
  });

  it('leaves no checkpoint where there was none before, until the JSON is there', async () => {
    for (let at = 0; at < 3; at++) {
      const run = join(folder, `first${at}`);
      await mkdir(run);
      await expect(saveCheckpoint(run, state(1), dyingDisk(at).disk)).rejects.toThrow(Killed);
      await expect(loadCheckpoint(run)).rejects.toThrow(
        `Cannot read ${join(run, 'supernet.json')}: there is no such file`,
      );
    }
  });

  it('with the same weights again does not remove them', async () => {
    await saveCheckpoint(folder, state(1));
    const moved = { ...state(1), position: { step: 9 } };
    await expect(saveCheckpoint(folder, moved, dyingDisk(2).disk)).rejects.toThrow(Killed);
    expect(await loaded()).toEqual(plain(state(1)));
    await saveCheckpoint(folder, moved);
    expect(await loaded()).toEqual(plain(moved));
  });
});

describe('two processes that save in one folder', () => {
  /** A disk whose operations wait for their turn. */
  function steppedDisk(turn: () => Promise<void>): CheckpointDisk {
    return {
      write: async (path, content) => (await turn(), writeAtomic(path, content)),
      list: async (where) => (await turn(), readdir(where)),
      remove: async (path) => (await turn(), rm(path, { force: true })),
    };
  }

  /** Two saves, each a pair of them one after the other, whose operations happen in the order of `turns`. */
  async function interleaved(run: string, turns: readonly boolean[]): Promise<void> {
    const waiting: (() => void)[][] = [[], []];
    const ended = [false, false];
    const saver = async (who: 0 | 1): Promise<void> => {
      const disk = steppedDisk(() => new Promise((resolve) => waiting[who]!.push(resolve)));
      for (const step of [10 + who, 20 + who]) await saveCheckpoint(run, state(step), disk);
      ended[who] = true;
    };
    const both = Promise.all([saver(0), saver(1)]);
    const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
    for (let i = 0; !(ended[0]! && ended[1]!); i++) {
      const first = (turns[i % turns.length] ?? false) ? 1 : 0;
      const who = ended[first]! ? 1 - first : first;
      while (!ended[who]! && waiting[who]!.length === 0) await settle();
      waiting[who]!.shift()?.();
      await settle();
    }
    await both;
  }

  it('leave a checkpoint that is whole, in whatever order their operations happen', async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 4, maxLength: 20 }), async (turns) => {
        const run = join(folder, `both${runs++}`);
        await saveCheckpoint(run, state(1));
        await interleaved(run, turns);
        const { position } = (await loaded(run)) as CheckpointState;
        expect([10, 11, 20, 21]).toContain((position as { step: number }).step);
      }),
      { numRuns: 12, seed: 4 },
    );
  });
});

describe('loading while another process saves', () => {
  it.each(['supernet', 'optimizer'])(
    'follows the JSON when the %s file that it named is gone',
    async (kind) => {
      await saveCheckpoint(folder, state(1));
      let step = 1;
      const found = await loadCheckpoint(folder, async (path) => {
        // Two whole saves happen after the JSON was read and before the file is.
        if (path.includes(`${kind}-`) && step < 3) await saveCheckpoint(folder, state(++step));
        return readFile(path);
      });
      expect(step).toBe(3);
      expect(found.position).toEqual(state(3).position);
      expect(found.weights).toEqual(state(3).weights);
      expect(found.optimizer).toEqual(state(3).optimizer);
    },
  );
});

describe('what is not a checkpoint', () => {
  const json = (): string => join(folder, 'supernet.json');
  const edit = async (change: (content: Record<string, unknown>) => void): Promise<void> => {
    const content = JSON.parse(await readFile(json(), 'utf8')) as Record<string, unknown>;
    change(content);
    await writeFile(json(), JSON.stringify(content));
  };
  const refused = async (message: string | RegExp): Promise<void> => {
    await expect(loadCheckpoint(folder)).rejects.toThrow(UserError);
    await expect(loadCheckpoint(folder)).rejects.toThrow(message);
  };
  const tensorPath = async (kind: string): Promise<string> =>
    join(
      folder,
      (await readdir(folder)).find((name) => name.startsWith(`${kind}-`))!,
    );

  it('a folder without one', () => refused(`Cannot read ${json()}: there is no such file`));

  it('another JSON file, another version, a damaged one', async () => {
    await writeFile(json(), '{"format":"elsewhere/1"}');
    await refused(`Cannot use ${json()} at "format"`);
    await writeFile(json(), '{"format":');
    await refused(`Cannot read ${json()}: it is not JSON`);
  });

  it('a space that is wrong', async () => {
    await saveCheckpoint(folder, state(1));
    await edit((content) => ((content['space'] as Record<string, unknown>)['family'] = 'transformer'));
    await refused('Unknown family of networks "transformer"');
  });

  it('a file name that leads elsewhere', async () => {
    await saveCheckpoint(folder, state(1));
    await edit((content) => ((content['weights'] as Record<string, unknown>)['file'] = '../x.safetensors'));
    await refused(/"weights\.file": must be the name of a safetensors file in the same folder/);
  });

  it.each(['supernet', 'optimizer'])('a %s file that is missing, truncated or changed', async (kind) => {
    await saveCheckpoint(folder, state(1));
    const path = await tensorPath(kind);
    const whole = await readFile(path);
    await truncate(path, whole.length - 1);
    await refused(`Cannot use ${path}: its SHA-256 must be`);
    whole[whole.length - 1]! ^= 1;
    await writeFile(path, whole);
    await refused(`Cannot use ${path}: its SHA-256 must be`);
    await rm(path);
    await refused(`Cannot read ${path}: there is no such file`);
  });

  it('tensors of another space: every one that differs is named', async () => {
    const other = join(folder, 'other');
    await saveCheckpoint(folder, state(1));
    const deeper = smallSpace({ depth: [1, 3], kernel: [3, 5] });
    await saveCheckpoint(other, { ...state(1), space: deeper, weights: initialiseWeights(deeper, 1) });
    await cp(other, folder, { recursive: true });
    await edit((content) => (content['space'] = space.file));
    await refused('wrong shape: stage0.block0.depthwise.weight must be [32, 1, 7, 7]: it is [32, 1, 5, 5]');
    await refused('missing: stage1.block1.depthwise.transform7to5 [25, 25]');
    await refused('unexpected: stage2.block2.expand.weight');
  });

  it('weights that are not those of the space are not saved', async () => {
    const wrong = state(1);
    (wrong.weights as Map<string, unknown>).delete('stem.conv.weight');
    await expect(saveCheckpoint(folder, wrong)).rejects.toThrow(RangeError);
    await expect(saveCheckpoint(folder, wrong)).rejects.toThrow('missing: stem.conv.weight [8, 3, 3, 3]');
    expect(await readdir(folder)).toEqual([]);
  });
});
