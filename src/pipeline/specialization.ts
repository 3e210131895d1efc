/** What `ofa specialize` found: a table of devices and limits, and what the predictions behind it were worth. */
import { z } from 'zod';
import type { Verification } from '../export/verify.js';
import { architectureFileSchema } from '../space/architecture.js';
import { classScoreSchema } from '../training/classScore.js';
import { nameSchema } from '../util/names.js';

export const SPECIALIZATION_FILE = 'specialization.json';

const fraction = z.number().min(0).max(1);
const ms = z.number().nonnegative();
const count = z.number().int().nonnegative();
/** Of an accuracy, as its images leave it; absent in files of earlier versions. */
const standardError = z.number().positive().exactOptional();

/** A candidate that was measured for a cell, chosen or not. */
const finalistSchema = z.strictObject({
  architecture: architectureFileSchema,
  predictedTop1: z.number(),
  validationTop1: fraction,
  validationTop1StandardError: standardError,
  predictedMs: ms,
  /** What was measured first. */
  measuredMs: ms,
  /** Measured once more, beside all chosen models; null for those that were never chosen. */
  measuredAgainMs: ms.nullable(),
  /** Whether all that was measured keeps the limit. */
  meetsLimit: z.boolean(),
  chosen: z.boolean(),
});

const cellNameSchema = z.strictObject({ device: z.string(), maxLatencyMs: ms });

/** Why a model uses much less than its limit. */
const spareSchema = z.strictObject({
  /** Of the limit that it uses. */
  share: fraction,
  cause: z.enum(['no-gain', 'broke-limit', 'faster-than-predicted', 'none-proposed']),
  /** The same in words. */
  explanation: z.string(),
});

/** A chosen model on one of the devices. */
const placementSchema = z.strictObject({
  device: nameSchema,
  /** Null where that device's table cannot answer. */
  predictedMs: ms.nullable(),
  /** Null where that device cannot run it. */
  measuredMs: ms.nullable(),
});

/** What a device would have to take if nothing had been chosen for it. */
const borrowedSchema = z.strictObject({
  /** The cell that the model was chosen for. */
  device: nameSchema,
  maxLatencyMs: ms,
  /** On this device. */
  measuredMs: ms,
  validationTop1: fraction,
  validationTop1StandardError: standardError,
  measuredTop1: fraction,
  measuredTop1StandardError: standardError,
});

const modelShape = {
  device: nameSchema,
  maxLatencyMs: ms,
  predictedMs: ms,
  /** The slower of two measurements: when it was a finalist, and beside all chosen models. */
  measuredMs: ms,
  meetsLimit: z.boolean(),
  predictedTop1: z.number(),
  validationTop1: fraction,
  validationTop1StandardError: standardError,
  /** On test data, which nothing before has seen. */
  measuredTop1: fraction,
  measuredTop1StandardError: standardError,
  /** The same class by class; null where it is not known, absent in older files. */
  byClass: classScoreSchema.nullable().default(null),
  macs: count,
  params: count,
  architecture: architectureFileSchema,
  /** Path of the file. */
  onnx: z.string(),
  finalists: z.array(finalistSchema).readonly(),
  /** On every device, in the order of the request. */
  onDevices: z.array(placementSchema).readonly(),
  /** The most accurate model chosen for another device that keeps the limit here; null where there is none. */
  borrowed: borrowedSchema.nullable(),
  /** Other cells that hold the same network; absent in older files. */
  sameModelAs: z.array(cellNameSchema).readonly().default([]),
  /** Null where the model uses its limit or breaks it; absent in older files. */
  spare: spareSchema.nullable().default(null),
};

/** What predictions of a device's latency were worth, on all networks that were measured there. */
const predictionSchema = z.strictObject({
  device: nameSchema,
  /** Distinct networks. */
  networks: count,
  /** Mean absolute error in percent of the measured value. */
  mape: z.number().nonnegative(),
  within10Percent: z.number(),
  /** Finalists of its cells that were predicted to keep their limit: those that did, and those that did not. */
  kept: count,
  broke: count,
  /** Networks that keep the limit of a cell against the prediction, and were chosen. */
  missed: count,
});

export const specializationSchema = z.strictObject({
  format: z.literal('ofakit.specialization/1'),
  space: nameSchema,
  dataset: z.string(),
  weightsSha256: z.string(),
  models: z
    .array(
      z.strictObject({
        ...modelShape,
        /** Of the file's logits from the supernet's, over all ways it was run. */
        maxAbsDifference: z.number().nonnegative(),
      }),
    )
    .readonly(),
  predictions: z.array(predictionSchema).readonly(),
  /** Cells that no subnet can be found for. */
  infeasible: z
    .array(z.strictObject({ device: nameSchema, maxLatencyMs: ms, reason: z.string() }))
    .readonly(),
});

/** As `specialization.json` holds it. */
export type SpecializationFile = z.infer<typeof specializationSchema>;
export type CellFinalist = z.infer<typeof finalistSchema>;
export type Placement = z.infer<typeof placementSchema>;
export type CellName = Readonly<z.infer<typeof cellNameSchema>>;
export type SpareTime = Readonly<z.infer<typeof spareSchema>>;
export type BorrowedModel = z.infer<typeof borrowedSchema>;
export type DevicePredictions = z.infer<typeof predictionSchema>;
export type InfeasibleCell = SpecializationFile['infeasible'][number];

/** One device and limit as the file has it. */
export type SpecializedModelFile = SpecializationFile['models'][number];

/** What earlier calls left in the folder. */
export interface EarlierCells {
  readonly models: readonly SpecializedModelFile[];
  readonly infeasible: SpecializationFile['infeasible'];
}

/** One device and limit. Accuracies are fractions. */
export type SpecializedModel = Omit<SpecializedModelFile, 'maxAbsDifference'> & {
  readonly verification: Verification;
};

export interface Specialization {
  readonly space: string;
  readonly dataset: string;
  readonly weightsSha256: string;
  /** Of the cells that were asked for. */
  readonly models: readonly SpecializedModel[];
  /** Other cells of the folder, from earlier calls. */
  readonly earlier: EarlierCells;
  readonly predictions: readonly DevicePredictions[];
  readonly infeasible: readonly InfeasibleCell[];
}

/** All cells of the folder. */
export function specializationFile({
  models,
  earlier,
  infeasible,
  ...rest
}: Specialization): SpecializationFile {
  const own = models.map(({ verification, ...model }) => ({
    ...model,
    maxAbsDifference: largestDifference(verification),
  }));
  return {
    format: 'ofakit.specialization/1',
    ...rest,
    models: inOrder([...own, ...earlier.models]),
    infeasible: inOrder([...infeasible, ...earlier.infeasible]),
  };
}

/** Cells of one device beside each other, the tightest limit first; devices in the order of their first cell. */
export function inOrder<C extends CellName>(cells: readonly C[]): C[] {
  const devices = [...new Set(cells.map(({ device }) => device))];
  return [...cells].sort(
    (a, b) => devices.indexOf(a.device) - devices.indexOf(b.device) || a.maxLatencyMs - b.maxLatencyMs,
  );
}

/** Of logits, over all ways the file was run. */
export const largestDifference = ({ paths }: Verification): number =>
  Math.max(...paths.map(({ maxAbsDifference }) => maxAbsDifference));

/** What `bestBorrowed` asks of a chosen model. */
type Chosen = Pick<
  SpecializedModel,
  | 'device'
  | 'maxLatencyMs'
  | 'validationTop1'
  | 'validationTop1StandardError'
  | 'measuredTop1'
  | 'measuredTop1StandardError'
  | 'onDevices'
>;

/** The most accurate (on validation images) of the models chosen for other devices that keeps `cell`'s limit on its device. */
export function bestBorrowed(
  cell: Pick<Chosen, 'device' | 'maxLatencyMs'>,
  models: readonly Chosen[],
): BorrowedModel | null {
  let best: BorrowedModel | null = null;
  for (const { device, maxLatencyMs, validationTop1, measuredTop1, onDevices, ...errors } of models) {
    const measuredMs = onDevices.find((placement) => placement.device === cell.device)?.measuredMs ?? null;
    if (device === cell.device || measuredMs === null || measuredMs > cell.maxLatencyMs) continue;
    if (best !== null && best.validationTop1 >= validationTop1) continue;
    const { validationTop1StandardError: ofValidation, measuredTop1StandardError: ofTest } = errors;
    best = {
      device,
      maxLatencyMs,
      measuredMs,
      validationTop1,
      measuredTop1,
      ...(ofValidation === undefined ? {} : { validationTop1StandardError: ofValidation }),
      ...(ofTest === undefined ? {} : { measuredTop1StandardError: ofTest }),
    };
  }
  return best;
}
