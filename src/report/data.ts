/**
 * What a report is made from: plain data, saved as report.json beside report.html, so that a report can be made again
 * from it. Documented in docs/formats.md.
 */
import { z } from 'zod';
import { architectureFileSchema } from '../space/architecture.js';
import type { Gene, GeneNeeds } from '../space/gene.js';
import { classScoreSchema } from '../training/classScore.js';
import { readJson } from '../util/files.js';

export const REPORT_FORMAT = 'ofakit.report/1';

const count = z.number().int().nonnegative();
const latencyMs = z.number().nonnegative();
const top1 = z.number().min(0).max(1);
/** Of a fraction of images; absent in files of earlier versions. */
const standardError = z.number().positive().optional();
const percent = z.number();
/** Rank correlation; null where all values are equal. */
const correlation = z.number().min(-1).max(1).nullable();

const reportShape = {
  title: z.string(),
  /** `date`: ISO 8601, left out where the report must be the same from run to run. */
  generatedBy: z.strictObject({ version: z.string(), command: z.string(), date: z.string().optional() }),
  /** Where the run took place; `runtime` as in `onnxruntime-node 1.30.0`. */
  machine: z.strictObject({
    cpu: z.string(),
    cores: count,
    os: z.string(),
    node: z.string(),
    runtime: z.string(),
  }),
  space: z.strictObject({
    name: z.string(),
    /** Number of distinct subnets in decimal digits, as it exceeds what JSON's numbers hold. */
    subnets: z.string(),
    imageSizes: z.array(count).readonly(),
    classes: count,
    /** Where each entry of `ks` and `e` stands (`blockPositions`); without it stages share the entries equally. */
    blocks: z
      .array(z.strictObject({ stage: count, position: count, base: count.optional() }))
      .readonly()
      .optional(),
  }),
  /** Where the weights are from. Default: `trained`. `from`: the schedule, or the file that was imported. */
  origin: z
    .strictObject({
      kind: z.enum(['trained', 'imported', 'finetuned', 'unknown']),
      from: z.string().optional(),
    })
    .optional(),
  /** In the order of the logits. */
  classNames: z.array(z.string()).readonly().optional(),
  /** Subnets whose accuracy was measured, on how many images of which split. */
  sampled: z
    .strictObject({ count, split: z.string(), images: count, lowestTop1: top1, highestTop1: top1 })
    .optional(),
  /** Latency tables for the space. */
  tables: z
    .array(z.strictObject({ device: z.string(), blocks: count }))
    .readonly()
    .optional(),
  /** `train`, `validation`, `test`: numbers of images. */
  dataset: z.strictObject({ name: z.string(), train: count, validation: count, test: count }),
  training: z
    .strictObject({
      phases: z.array(z.strictObject({ name: z.string(), startStep: count })).readonly(),
      loss: z.array(z.strictObject({ step: count, loss: z.number() })).readonly(),
      validation: z.array(z.strictObject({ step: count, subnet: z.string(), top1 })).readonly(),
    })
    .optional(),
  accuracy: z
    .strictObject({
      kendallTau: correlation,
      kendallTauStandardError: z.number().nonnegative().optional(),
      /** Root mean square error in percentage points. */
      rmsePoints: z.number().nonnegative(),
      rmsePointsStandardError: z.number().nonnegative().optional(),
      /** Subnets that the predictor never saw: what the figures and `points` are from. */
      heldOut: count,
      points: z.array(z.strictObject({ predictedTop1: z.number(), measuredTop1: top1 })).readonly(),
    })
    .optional(),
  latency: z
    .array(
      z.strictObject({
        device: z.string(),
        /** Mean absolute error in percent of the measured value. */
        mape: percent,
        within5Percent: percent,
        within10Percent: percent,
        kendallTau: correlation,
        heldOut: count,
        points: z.array(z.strictObject({ predictedMs: z.number(), measuredMs: latencyMs })).readonly(),
        /** Latencies of subnets drawn from the whole space. */
        histogramMs: z.array(latencyMs).readonly(),
        /** Default: measured. */
        histogramOf: z.enum(['measured', 'predicted']).optional(),
      }),
    )
    .readonly(),
  /** The cloud: every subnet whose accuracy and latency are known. */
  subnets: z
    .array(
      z.strictObject({
        architecture: architectureFileSchema,
        device: z.string(),
        latencyMs,
        top1,
        kind: z.enum(['measured', 'predicted']),
      }),
    )
    .readonly(),
  /** The Pareto fronts of all devices, by the predictors that the search used. */
  front: z
    .array(z.strictObject({ device: z.string(), latencyMs, top1, architecture: architectureFileSchema }))
    .readonly(),
  models: z
    .array(
      z.strictObject({
        device: z.string(),
        maxLatencyMs: latencyMs,
        predictedMs: latencyMs,
        measuredMs: latencyMs,
        predictedTop1: z.number(),
        /** On the same images as `subnets`; pictures compare with those. Default: `measuredTop1`. */
        validationTop1: top1.optional(),
        validationTop1StandardError: standardError,
        /** On test images. */
        measuredTop1: top1,
        measuredTop1StandardError: standardError,
        /** The same class by class, in the order of `classNames`. */
        byClass: classScoreSchema.nullable().optional(),
        macs: count,
        params: count,
        /** Path of the ONNX file relative to the report. */
        file: z.string(),
        architecture: architectureFileSchema,
        meetsLimit: z.boolean(),
        /** What was measured before it was chosen, itself among them. */
        finalists: z
          .array(
            z.strictObject({
              architecture: architectureFileSchema,
              predictedTop1: z.number(),
              validationTop1: top1,
              validationTop1StandardError: standardError,
              predictedMs: latencyMs,
              measuredMs: latencyMs,
              measuredAgainMs: latencyMs.nullable(),
              meetsLimit: z.boolean(),
              chosen: z.boolean(),
            }),
          )
          .readonly()
          .optional(),
        /** On every device that models were chosen for; null where it was not predicted, or could not be measured. */
        onDevices: z
          .array(
            z.strictObject({
              device: z.string(),
              predictedMs: latencyMs.nullable(),
              measuredMs: latencyMs.nullable(),
            }),
          )
          .readonly()
          .optional(),
        /** The most accurate model chosen for another device that keeps this limit here; null where none does. */
        borrowed: z
          .strictObject({
            device: z.string(),
            maxLatencyMs: latencyMs,
            measuredMs: latencyMs,
            validationTop1: top1,
            validationTop1StandardError: standardError,
            measuredTop1: top1,
            measuredTop1StandardError: standardError,
          })
          .nullable()
          .optional(),
        /** Other limits and devices that the same network was chosen for. */
        sameModelAs: z
          .array(z.strictObject({ device: z.string(), maxLatencyMs: latencyMs }))
          .readonly()
          .optional(),
        /** Why it uses much less than its limit; null where it does not. */
        spare: z
          .strictObject({ share: top1, cause: z.string(), explanation: z.string() })
          .nullable()
          .optional(),
      }),
    )
    .readonly(),
};

/** Accuracies (`top1`) are fractions in [0, 1]; parts that a run does not have are left out or empty. */
export const reportDataSchema = z.strictObject(reportShape);
export const reportFileSchema = z.strictObject({ format: z.literal(REPORT_FORMAT), ...reportShape });

export type ReportData = z.infer<typeof reportDataSchema>;
export type ReportModel = ReportData['models'][number];
export type ReportLatency = ReportData['latency'][number];
export type ReportOrigin = NonNullable<ReportData['origin']>;
export type ReportTraining = NonNullable<ReportData['training']>;
export type ReportAccuracy = NonNullable<ReportData['accuracy']>;

/** A saved report.json. Throws UserError for a file that cannot be read or is not a report. */
export async function readReportData(path: string): Promise<ReportData> {
  const { format: _format, ...data } = await readJson(path, reportFileSchema);
  return data;
}

/** `space.blocks` of a report from the genes of a search space. */
export function blockPositions(genes: readonly Gene[]): GeneNeeds[] {
  return genes.flatMap(({ list, needs }) => (list === 'e' && needs !== undefined ? [{ ...needs }] : []));
}

/** All devices that the data tells of, in the order of their first appearance. */
export function reportDevices({ models, front, subnets, latency }: ReportData): string[] {
  return [...new Set([models, front, subnets, latency].flatMap((list) => list.map(({ device }) => device)))];
}
