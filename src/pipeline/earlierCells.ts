/** A folder's table of devices and limits as earlier calls left it: what is asked for now is added to it. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readJson } from '../util/files.js';
import type { Logger } from '../util/logger.js';
import {
  SPECIALIZATION_FILE,
  specializationSchema,
  type CellName,
  type EarlierCells,
  type Specialization,
  type SpecializedModelFile,
} from './specialization.js';

const NONE: EarlierCells = { models: [], infeasible: [] };

/**
 * The folder's cells that stay: those of the same supernet and data, but for what is asked for again. Throws UserError for a
 * damaged file.
 */
export async function readEarlierCells(
  folder: string,
  of: Pick<Specialization, 'space' | 'dataset' | 'weightsSha256'>,
  wanted: readonly CellName[],
  logger: Logger,
): Promise<EarlierCells> {
  const path = join(folder, SPECIALIZATION_FILE);
  if (!existsSync(path)) return NONE;
  const file = await readJson(path, specializationSchema);
  const changed = (['space', 'weightsSha256', 'dataset'] as const).find((key) => file[key] !== of[key]);
  if (changed !== undefined) {
    logger.warn(
      `${path} is replaced: its ${file.models.length} models are of another ${changed === 'weightsSha256' ? 'supernet (other weights)' : `${changed} ("${file[changed]}")`}`,
    );
    return NONE;
  }
  const asked = new Set(wanted.map(cellKey));
  const stays = (cell: CellName): boolean => !asked.has(cellKey(cell));
  const models = file.models
    .filter(stays)
    // The folder may have been moved, or be seen from another one.
    .map((model) => ({ ...model, onnx: join(folder, basename(model.onnx)) }))
    .filter(({ onnx, device, maxLatencyMs }) => {
      if (existsSync(onnx)) return true;
      logger.warn(`The model for ${maxLatencyMs} ms on ${device} is left out of ${path}: ${onnx} is gone`);
      return false;
    });
  return { models, infeasible: file.infeasible.filter(stays) };
}

const cellKey = ({ device, maxLatencyMs }: CellName): string => JSON.stringify([device, maxLatencyMs]);

/** Earlier models of a looser limit that a model of a tighter one now beats on the same device. */
export function overtaken(
  earlier: readonly SpecializedModelFile[],
  models: readonly Pick<SpecializedModelFile, 'device' | 'maxLatencyMs' | 'meetsLimit' | 'validationTop1'>[],
): SpecializedModelFile[] {
  return earlier.filter(({ device, maxLatencyMs, validationTop1 }) =>
    models.some(
      (model) =>
        model.device === device &&
        model.meetsLimit &&
        model.maxLatencyMs < maxLatencyMs &&
        model.validationTop1 > validationTop1,
    ),
  );
}
