/** `ofa measure`: a device and a space become a latency table. */
import { isDeepStrictEqual } from 'node:util';
import type { DeviceProfile } from '../device/profile.js';
import type { Protocol } from '../device/protocol.js';
import { fillTable, type FillResult } from '../latency/fill.js';
import { openLatencyTable } from '../latency/query.js';
import { distilSource } from '../latency/transferPredictor.js';
import type { TransferSource } from '../latency/transferSource.js';
import type { SearchSpace } from '../space/space.js';
import { UserError } from '../util/errors.js';
import type { Logger } from '../util/logger.js';

export interface MeasureRequest {
  readonly space: SearchSpace;
  readonly device: DeviceProfile;
  readonly protocol: Protocol;
  readonly path: string;
  /** Whole subnets to check predictions with; as many again (at least 20) are measured to correct the table. */
  readonly whole: number;
  readonly fit?: number;
  /** In how many jobs each whole subnet is measured. Default: 1. */
  readonly passes?: number;
  /** A new device from `count` whole subnets and other devices' tables (files), without timing blocks. */
  readonly fewShot?: { readonly count: number; readonly from: readonly string[] };
  readonly seed: number;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/** What decides which choices there are; widths and classes may differ, as a new device's scale is learned. */
const choicesOf = ({ genes }: SearchSpace): unknown => genes.filter(({ list }) => list !== 'imageSize');

/** What the tables of other devices know. Throws UserError for a table of another space, or without a predictor. */
export async function knownDevices(space: SearchSpace, paths: readonly string[]): Promise<TransferSource[]> {
  const sources: TransferSource[] = [];
  for (const path of paths) {
    const query = await openLatencyTable(path);
    if (!isDeepStrictEqual(choicesOf(query.space), choicesOf(space))) {
      throw new UserError(
        `Cannot learn from the latency table ${path}: it must be for the choices of space "${space.name}": it is for "${query.space.name}"`,
      );
    }
    sources.push(distilSource(query.table.device.name, query.space, query.predictor));
  }
  return sources;
}

/**
 * Measures what the table lacks. Throws as `fillTable`, and UserError where a table of another device cannot be used.
 */
export async function measure(request: MeasureRequest): Promise<FillResult> {
  const { space, device, protocol, path, whole, fit, passes, fewShot, seed, logger, signal } = request;
  const sources = fewShot === undefined ? [] : await knownDevices(space, fewShot.from);
  return fillTable({
    path,
    space,
    device,
    protocol,
    wholeSubnets: {
      fit: fit ?? fewShot?.count ?? (whole === 0 ? 0 : Math.max(20, whole)),
      check: whole,
    },
    ...(passes === undefined ? {} : { subnetPasses: passes }),
    ...(fewShot === undefined ? {} : { blocks: false, sources }),
    seed,
    logger,
    ...(signal === undefined ? {} : { signal }),
  });
}
