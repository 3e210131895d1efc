/** A device with an agent on it (`ofa agent`), reached over HTTP. */
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { readText, validate } from '../../util/files.js';
import { silentLogger, type Logger } from '../../util/logger.js';
import { packageVersion } from '../../util/scripts.js';
import { fromHome, readToken } from '../agent/token.js';
import { connectAnswerSchema, WIRE_VERSION, type ConnectAnswer } from '../agent/wire.js';
import { deviceKey } from '../fingerprint.js';
import { runtimeSettings, type DeviceProfile } from '../profile.js';
import { claimToken, isLoopback, moveToken, originOf, releaseToken } from '../tokenOrigins.js';
import type { DeviceConnection, DeviceTransport } from '../transport.js';
import { AgentClient, type AgentAddress } from './http.js';
import { runRemotely } from './job.js';
import { Patience } from './retry.js';

/** Key `transport` of a profile. */
export const remoteTransportSchema = z.strictObject({
  kind: z.literal('remote'),
  /** `http://HOST:PORT` or `https://HOST:PORT`. */
  url: z
    .url({ protocol: /^https?$/ })
    .refine((text) => !URL.canParse(text) || new URL(text).username === '', 'must be without a user name'),
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

async function addressOf({ url, tokenFile, caFile }: RemoteTransport, logger: Logger): Promise<AgentAddress> {
  const token = await readToken(tokenFile, logger);
  if (caFile === undefined) return { url: new URL(url), token };
  return { url: new URL(url), token, ca: await readText(fromHome(caFile)) };
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

const transportOf = ({ name, transport }: DeviceProfile): RemoteTransport =>
  validate(transport, remoteTransportSchema, `the device profile "${name}", key "transport"`);

/**
 * The token of a profile belongs to the profile's address from now on, whatever it was used with before. Throws UserError
 * for a profile of another transport, and where the token cannot be read or this not be remembered.
 */
export async function moveTokenHere(profile: DeviceProfile): Promise<void> {
  const { url, tokenFile } = transportOf(profile);
  await moveToken(await readToken(tokenFile), originOf(new URL(url)));
}

/**
 * Throws UserError where the token belongs to another agent. Returns what takes back that it belongs to this one, for
 * when it was not sent.
 */
async function claim({ url, token }: AgentAddress, profile: DeviceProfile): Promise<() => Promise<void>> {
  const origin = originOf(url);
  const { origins, fresh } = await claimToken(token, [origin]);
  if (origins.includes(origin)) return () => (fresh ? releaseToken(token) : Promise.resolve());
  const { tokenFile } = transportOf(profile);
  throw new UserError(
    `Cannot use device "${profile.name}": the token of ${tokenFile} belongs to ${origins[0]!}, with which it was first used: ` +
      `it was not sent to ${origin}; if the agent has moved there: ofa device add ${profile.name} --url ${url.origin} --token-file ${tokenFile} --replace --move-token`,
  );
}

async function connect(profile: DeviceProfile, logger: Logger): Promise<DeviceConnection> {
  const transport = transportOf(profile);
  const address = await addressOf(transport, logger);
  const release = await claim(address, profile);
  const client = new AgentClient(address);
  try {
    const { fingerprint, version, notes } = await ask(client, profile);
    if (address.url.protocol === 'http:' && !isLoopback(address.url.hostname)) {
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
    if (!client.reached) await release();
    throw error;
  }
}

export const remote: DeviceTransport = { kind: 'remote', connect };
