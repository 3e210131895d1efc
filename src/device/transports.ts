/** All ways to reach a device: add a line to add one. */
import { unknownName } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { localProcess } from './localProcess.js';
import { none } from './none.js';
import type { DeviceProfile } from './profile.js';
import { remote } from './remote/remote.js';
import type { DeviceConnection, DeviceTransport } from './transport.js';

export const transports: ReadonlyMap<string, DeviceTransport> = new Map(
  [localProcess, remote, none].map((transport) => [transport.kind, transport]),
);

/** Throws UserError for an unknown kind of transport or a device that does not answer. */
export async function connectDevice(
  profile: DeviceProfile,
  logger: Logger = silentLogger,
): Promise<DeviceConnection> {
  const transport = transports.get(profile.transport.kind);
  if (transport === undefined)
    throw unknownName('device transport', profile.transport.kind, [...transports.keys()]);
  return transport.connect(profile, logger);
}
