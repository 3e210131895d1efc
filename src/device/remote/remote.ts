/** A device with an agent on it (`ofa agent`), reached over HTTP. */
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { readBytes, validate } from '../../util/files.js';
import { silentLogger, type Logger } from '../../util/logger.js';
import { packageVersion } from '../../util/scripts.js';
import { fromHome, readToken } from '../agent/token.js';
import { connectAnswerSchema, WIRE_VERSION, type ConnectAnswer } from '../agent/wire.js';
import { deviceKey } from '../fingerprint.js';
import { runtimeSettings, type DeviceProfile } from '../profile.js';
import type { DeviceConnection, DeviceTransport } from '../transport.js';
import { AgentClient, type AgentAddress } from './http.js';
import { runRemotely } from './job.js';
import { Patience } from './retry.js';

/** Key `transport` of a profile. */
export const remoteTransportSchema = z.strictObject({
  kind: z.literal('remote'),
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  url: z.url({ protocol: /^https?$/ }),
  /** File with the agent's token; `~/` is the home folder. */
  tokenFile: z.string().min(1),
  /** PEM file of the certificate, or of who signed it; default: what the system trusts. */
  caFile: z.string().min(1).optional(),
  /** A run goes on trying for so long while the agent cannot be reached. */
  patienceSeconds: z.number().positive().default(600),
});
export type RemoteTransport = z.infer<typeof remoteTransportSchema>;

/** Connecting fails soon: somebody is watching. */
const CONNECT_PATIENCE_MS = 3000;

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

async function addressOf({ url, tokenFile, caFile }: RemoteTransport): Promise<AgentAddress> {
  const token = await readToken(tokenFile);
  if (caFile === undefined) return { url: new URL(url), token };
  return { url: new URL(url), token, ca: (await readBytes(fromHome(caFile))).toString('utf8') };
}

/** Asks what the device is. Retries for a moment, as networks do not always answer at once. */
async function ask(client: AgentClient, { name, ...profile }: DeviceProfile): Promise<ConnectAnswer> {
  const patience = new Patience(CONNECT_PATIENCE_MS, silentLogger);
  const settings = runtimeSettings({ name, ...profile });
  const greet = (): Promise<{ wire: number }> =>
    client.json('POST', '/v1/connect', { wire: WIRE_VERSION, settings }, z.looseObject({ wire: z.number() }));
  try {
    const answer = await patience.until(greet, new AbortController().signal);
    if (answer.wire !== WIRE_VERSION) {
      throw new UserError(
        `the agent speaks version ${answer.wire} of the protocol: version ${WIRE_VERSION} is wanted: install the same ofakit on both sides`,
      );
    }
    return validate(answer, connectAnswerSchema, 'the answer of the agent');
  } catch (error) {
    throw new UserError(`Cannot use device "${name}": ${(error as Error).message}`, { cause: error });
  }
}

async function connect(profile: DeviceProfile, logger: Logger): Promise<DeviceConnection> {
  const transport = validate(
    profile.transport,
    remoteTransportSchema,
    `the device profile "${profile.name}", key "transport"`,
  );
  const address = await addressOf(transport);
  const client = new AgentClient(address);
  try {
    const { fingerprint, version, notes } = await ask(client, profile);
    if (address.url.protocol === 'http:' && !LOOPBACK.test(address.url.hostname)) {
      logger.warn(
        `Device "${profile.name}": the token travels in the open over ${address.url.origin}: see docs/devices.md`,
      );
    }
    for (const note of notes) logger.warn(`Device "${profile.name}": ${note}`);
    if (version !== packageVersion()) {
      logger.warn(`Device "${profile.name}" has ofakit ${version}, this is ${packageVersion()}`);
    }
    const options = {
      client,
      device: deviceKey(fingerprint),
      name: profile.name,
      patienceMs: 1000 * transport.patienceSeconds,
      logger,
    };
    return {
      fingerprint,
      run: (job, onEvent, signal) => runRemotely(job, onEvent, signal, options),
      close: () => Promise.resolve(client.close()),
    };
  } catch (error) {
    client.close();
    throw error;
  }
}

export const remote: DeviceTransport = { kind: 'remote', connect };
