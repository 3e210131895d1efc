/** `ofa measure`: a device and a space become a latency table. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import { fillTable, type FillResult } from '../latency/fill.js';
import { tablePath } from '../latency/table.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';

/** Where a table is written: latency-tables/DEVICE/SPACE.json in the current folder. */
export const ownTablePath = (device: string, space: string): string =>
  tablePath(device, space, 'latency-tables');

/** A table's file: a path, or the current folder's or the package's table of a device and space. Throws UserError. */
export function findTable(device: string, space: string, given?: string): string {
  if (given !== undefined) return given;
  const found = [ownTablePath(device, space), tablePath(device, space)].find((path) => existsSync(path));
  if (found === undefined) {
    throw new UserError(
      `Cannot find a latency table of device "${device}" for space "${space}": looked for ${join('latency-tables', device, `${space}.json`)}; ` +
        `measure one with "ofa measure --space ${space} --device ${device} --whole 30"`,
    );
  }
  return found;
}

export interface MeasureRequest {
  readonly space: SearchSpace;
  readonly device: DeviceProfile;
  readonly protocol: Protocol;
  readonly path: string;
  /** Whole subnets to check predictions with; half as many again (at least 20) are measured to correct the table. */
  readonly whole: number;
  readonly fit?: number;
  readonly seed: number;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** Measures what the table lacks. Throws as `fillTable`. */
export function measure({
  space,
  device,
  protocol,
  path,
  whole,
  fit,
  seed,
  logger,
  signal,
}: MeasureRequest): Promise<FillResult> {
  return fillTable({
    path,
    space,
    device,
    protocol,
    wholeSubnets: { fit: fit ?? (whole === 0 ? 0 : Math.max(20, whole)), check: whole },
    seed,
    logger,
    ...(signal === undefined ? {} : { signal }),
  });
}
