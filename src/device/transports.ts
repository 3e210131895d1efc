/** All ways to reach a device: add a line to add one. */
import { UserError, unknownName } from '../util/errors.js';
import { silentLogger, type Logger } from '../util/logger.js';
import { localProcess } from './localProcess.js';
import { identityDifferences } from './machine.js';
import { none } from './none.js';
import type { DeviceProfile } from './profile.js';
import { remote } from './remote/remote.js';
import type { DeviceConnection, DeviceTransport } from './transport.js';

export const transports: ReadonlyMap<string, DeviceTransport> = new Map(
  [localProcess, remote, none].map((transport) => [transport.kind, transport]),
);

/**
 * Throws UserError for an unknown kind of transport, a device that does not answer, and one that is not what the profile
 * recorded.
 */
export async function connectDevice(
  profile: DeviceProfile,
  logger: Logger = silentLogger,
): Promise<DeviceConnection> {
  const transport = transports.get(profile.transport.kind);
  if (transport === undefined)
    throw unknownName('device transport', profile.transport.kind, [...transports.keys()]);
  const connection = await transport.connect(profile, logger);
  const differences = identityDifferences(profile.identity ?? {}, connection.fingerprint);
  if (differences.length === 0) return connection;
  await connection.close();
  throw new UserError(
    `Cannot use device "${profile.name}": it is not the one in its profile: ${differences.join(', ')}; ` +
      `to measure this one instead, write the profile again with "ofa device add ${profile.name} --replace"`,
  );
}
