/**
 * Measured accuracies, as JSON lines. Each line stands for itself, so that files can be joined:
 *
 *     {"format":"ofakit.accuracy/1","architecture":{"image_size":..,"ks":[..],"e":[..],"d":[..]},"split":"validation",
 *      "top1":0.91,"top1StandardError":0.004,"top5":0.99,"loss":0.31,"count":5000,"seed":0,"weightsSha256":"...",
 *      "calibration":{"images":2000,"batch":200,"seed":937162211}}
 *
 * `top1` and `top5` are fractions of `count` images; `seed` is that of the list which the network was drawn for.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { architectureFileSchema, toFile, type Architecture } from '../space/architecture.js';
import { architectureKey } from '../space/canonical.js';
import { countNetworks } from '../space/enumerate.js';
import { parseArchitecture } from '../space/file.js';
import type { SearchSpace } from '../space/space.js';
import { InterruptedError, UserError } from '../util/errors.js';
import { appendJsonLine, dropTornLine, readJsonLines, writeAtomic } from '../util/files.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { fractionStandardError } from '../util/standardError.js';
import { keyOfRecord } from './dataKeys.js';
import { distinctArchitectures } from './sampling.js';

const fraction = z.number().min(0).max(1);
const scoreShape = {
  top1: fraction,
  top5: fraction,
  loss: z.number(),
  count: z.number().int().positive(),
};

export const accuracyLineSchema = z.strictObject({
  format: z.literal('ofakit.accuracy/1'),
  architecture: architectureFileSchema,
  split: z.string().min(1),
  ...scoreShape,
  /** Of `top1`, as `count` images leave it; absent in older files. */
  top1StandardError: z.number().positive().exactOptional(),
  seed: z.number().int(),
  weightsSha256: z.string().min(1),
  /** Of the images it was judged and recalibrated on (`dataKey`); absent in older files. */
  dataSha256: z.string().min(1).exactOptional(),
  /** How batch norm was recalibrated first; absent where that is not known, as in older files. */
  calibration: z
    .strictObject({
      images: z.number().int().positive(),
      batch: z.number().int().positive(),
      seed: z.number().int(),
    })
    .readonly()
    .exactOptional(),
  learningCurve: z
    .array(z.strictObject({ at: z.number().gt(0).lt(1), top1: fraction }))
    .readonly()
    .exactOptional(),
  /** Zero-cost proxies by name (src/accuracy/proxies); what could not be computed is absent. */
  proxies: z.record(z.string().min(1), z.number()).exactOptional(),
});

/** Training images that batch norm is recalibrated on before a subnet is judged: how many, how many at once, drawn by which seed. */
export interface Calibration {
  readonly images: number;
  readonly batch: number;
  readonly seed: number;
}

/** Of one subnet on a split of a data set. */
export interface AccuracyScore {
  /** Fractions in [0, 1]. */
  readonly top1: number;
  readonly top5: number;
  readonly loss: number;
  /** Images. */
  readonly count: number;
  /** What was known after a share `at`, in (0, 1), of the work that `top1` took: of the images, or of the training. */
  readonly learningCurve?: readonly LearningCurvePoint[];
}

export interface LearningCurvePoint {
  readonly at: number;
  /** Fraction. */
  readonly top1: number;
}

export interface AccuracyRecord extends AccuracyScore {
  readonly architecture: Architecture;
  readonly split: string;
  readonly seed: number;
  readonly weightsSha256: string;
  readonly dataSha256?: string;
  readonly calibration?: Calibration;
  /** Zero-cost proxies by name, where they were computed. */
  readonly proxies?: Readonly<Record<string, number>>;
}

/**
 * Records in the order of the file; of several of one network on the same data the first. [] where there is no file. Throws UserError naming
 * the line that is not a record, or whose architecture is not in the space.
 */
export async function readAccuracies(path: string, space: SearchSpace): Promise<AccuracyRecord[]> {
  const lines = await readJsonLines(path, accuracyLineSchema);
  const records = new Map<string, AccuracyRecord>();
  lines.forEach(({ format: _format, top1StandardError: _error, architecture: file, ...rest }, i) => {
    const architecture = parseArchitecture(file, space, `${path}, line ${i + 1}`);
    const key = `${architectureKey(space.genes, architecture)} ${rest.dataSha256 ?? ''}`;
    if (!records.has(key)) records.set(key, { architecture, ...rest });
  });
  return [...records.values()];
}

/** Replaces the file by these records; written whole or not at all. */
export async function writeAccuracies(path: string, records: readonly AccuracyRecord[]): Promise<void> {
  await writeAtomic(path, records.map((record) => `${JSON.stringify(lineOf(record))}\n`).join(''));
}

function lineOf({ architecture, split, top1, ...rest }: AccuracyRecord): z.infer<typeof accuracyLineSchema> {
  const top1StandardError = fractionStandardError(top1, rest.count);
  return {
    format: 'ofakit.accuracy/1',
    architecture: toFile(architecture),
    split,
    top1,
    top1StandardError,
    ...rest,
  };
}

export interface SampleAccuraciesOptions {
  readonly space: SearchSpace;
  /** Distinct networks wanted. */
  readonly count: number;
  /**
   * Tells the accuracy of each subnet as it becomes known, in any order; must give the same for the same architecture. It may
   * end early on `signal`.
   */
  readonly evaluateAll: (
    architectures: readonly Architecture[],
    tell: (index: number, score: AccuracyScore) => Promise<void>,
  ) => Promise<void>;
  readonly file: string;
  readonly seed: number;
  /** Name of the images that `evaluateAll` judges on. */
  readonly split: string;
  /** Of the supernet's weights: accuracies of other weights are another data set. */
  readonly weightsSha256: string;
  /** Of the data: accuracies on others may be in the file, and stay. */
  readonly dataSha256?: string;
  /** Of the run's own data: lines of older versions, which have no key, are taken to be on these. */
  readonly ownDataSha256?: string;
  /** How `evaluateAll` recalibrates batch norm: accuracies after another calibration are another data set. */
  readonly calibration?: Calibration;
  readonly signal?: AbortSignal;
  readonly logger?: Logger;
}

/**
 * Evaluates the first `count` networks of the seed's list and appends a line to the file after each; those already in the
 * file are not evaluated again, so that the same call goes on where an interrupted one ended, and a call with a greater
 * count adds to it. Returns the records of the list, in its order.
 *
 * Throws UserError for a file with accuracies of other weights, of another split or after another calibration, and where the
 * space has fewer networks; InterruptedError after the signal, when everything measured is in the file; RangeError for a score that is none.
 */
export async function sampleAccuracies(options: SampleAccuraciesOptions): Promise<AccuracyRecord[]> {
  const { space, count, evaluateAll, file, seed, split, weightsSha256, calibration, signal } = options;
  const { logger = silentLogger } = options;
  const networks = countNetworks(space.genes);
  if (!Number.isInteger(count) || count < 1 || BigInt(count) > networks) {
    throw new UserError(
      `Cannot sample accuracies: the count must be from 1 to ${networks}, as the space has no more networks: current value is ${count}`,
    );
  }
  const all = await readAccuracies(file, space);
  for (const record of all) requireSameWeights(file, record, weightsSha256);
  const { dataSha256, ownDataSha256 } = options;
  const isSame = (record: AccuracyRecord): boolean =>
    dataSha256 === undefined || keyOfRecord(record, { recorded: ownDataSha256 }) === dataSha256;
  const present = all.filter(isSame);
  for (const record of present) requireSameOrigin(file, record, options);
  if (present.length < all.length) {
    logger.info(
      `${all.length - present.length} accuracies in ${file} are on other data than these: they stay there, and are not counted`,
    );
  }
  await dropTornLine(file);
  const known = new Map(present.map((record) => [architectureKey(space.genes, record.architecture), record]));
  const wanted: { key: string; architecture: Architecture }[] = [];
  for (const each of distinctArchitectures(space.genes, seed)) {
    if (wanted.length === count) break;
    wanted.push(each);
  }
  const missing = wanted.filter(({ key }) => !known.has(key));
  const progress = logger.progress('Accuracies', count);
  let done = count - missing.length;
  progress.update(done);
  const tell = async (index: number, told: AccuracyScore): Promise<void> => {
    const { key, architecture } = missing[index]!;
    const score = checkScore(told, architecture);
    const origin = {
      seed,
      weightsSha256,
      ...(dataSha256 === undefined ? {} : { dataSha256 }),
      ...(calibration === undefined ? {} : { calibration }),
    };
    const record: AccuracyRecord = { architecture, split, ...score, ...origin };
    await appendJsonLine(file, lineOf(record));
    known.set(key, record);
    progress.update(++done, `top-1 ${(100 * record.top1).toFixed(2)} %`);
  };
  try {
    if (missing.length > 0 && signal?.aborted !== true)
      await evaluateAll(
        missing.map(({ architecture }) => architecture),
        tell,
      );
  } finally {
    progress.stop();
  }
  if (done < count) {
    throw new InterruptedError(
      `Sampling accuracies was interrupted after ${done} of ${count}; run the same command again to go on`,
    );
  }
  return wanted.map(({ key }) => known.get(key)!);
}

function requireSameWeights(file: string, record: AccuracyRecord, wanted: string): void {
  if (record.weightsSha256 !== wanted) throw otherOrigin(file, 'weights', wanted, record.weightsSha256);
}

const otherOrigin = (file: string, what: string, wanted: string, found: string): UserError =>
  new UserError(
    `Cannot add to ${file}: it must hold accuracies of ${what} "${wanted}": it holds those of "${found}"; choose another file, or delete it`,
  );

function requireSameOrigin(
  file: string,
  record: AccuracyRecord,
  wanted: Pick<SampleAccuraciesOptions, 'split' | 'calibration'>,
): void {
  if (record.split !== wanted.split) throw otherOrigin(file, 'split', wanted.split, record.split);
  const [own, other] = [wanted.calibration, record.calibration];
  if (own === undefined || other === undefined || isDeepStrictEqual(own, other)) return;
  const words = ({ images, batch, seed }: Calibration): string =>
    `${images} images in batches of ${batch}, seed ${seed}`;
  throw new UserError(
    `Cannot add to ${file}: it must hold accuracies after a calibration on ${words(own)}: it holds those after one on ${words(other)}; choose another file, or delete it`,
  );
}

/** Throws RangeError: a value that is not finite would make the line unreadable. */
function checkScore(
  { top1, top5, loss, count, learningCurve }: AccuracyScore,
  architecture: Architecture,
): AccuracyScore {
  const score = { top1, top5, loss, count, ...(learningCurve === undefined ? {} : { learningCurve }) };
  const { learningCurve: curve } = accuracyLineSchema.shape;
  const result = z.object({ ...scoreShape, learningCurve: curve }).safeParse(score);
  if (result.success) return score;
  const issue = result.error.issues[0]!;
  throw new RangeError(
    `Cannot record the accuracy of ${JSON.stringify(toFile(architecture))}: ${issue.path.join('.')}: ${issue.message}`,
  );
}
