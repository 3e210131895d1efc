/** Makes device profiles, and tries devices. */
import { existsSync } from 'node:fs';
import { UserError } from '../util/errors.js';
import { validate, writeJson } from '../util/files.js';
import { silentLogger, type Logger } from '../util/logger.js';
import type { DeviceFingerprint } from './fingerprint.js';
import { measureOver } from './measure.js';
import {
  deviceNames,
  deviceProfileSchema,
  loadDevice,
  ownDevicePath,
  runtimeSettings,
  wouldShadow,
  type DeviceProfile,
} from './profile.js';
import { moveTokenHere } from './remote/remote.js';
import type { RuntimeSettings } from './settings.js';
import { protocolByName } from './protocol.js';
import { blockModel } from './referenceModels.js';
import type { DeviceConnection } from './transport.js';
import { connectDevice } from './transports.js';

const ordinarySettings: RuntimeSettings = {
  provider: { name: 'cpu', options: {} },
  threads: 1,
  batch: 1,
  precision: 'float32',
  optimizationLevel: 'all',
  pin: null,
  spinning: false,
};

/**
 * Measures a fixed block on a device, by the quick protocol: ms. Throws UserError where the device cannot measure now
 * (also where it could later: its page is closed), InterruptedError after `signal` aborted; no job stays on the device.
 */
export async function tryDevice(
  connection: DeviceConnection,
  profile: DeviceProfile,
  logger: Logger = silentLogger,
  signal?: AbortSignal,
): Promise<number> {
  let problem = 'nothing came of it';
  const paused = new AbortController();
  const measuring = measureOver(
    connection,
    profile,
    // Small: GPUs in software take seconds for the large one.
    [{ id: 'reference model', onnx: () => blockModel(28) }],
    protocolByName('quick'),
    {
      logger: { ...logger, warn: () => undefined },
      signal: AbortSignal.any([paused.signal, ...(signal === undefined ? [] : [signal])]),
      onFailure: (_, reason) => void (problem = reason),
      onPause: (reason) => paused.abort(reason),
    },
  );
  const results = await measuring.catch((error: unknown) => {
    if (!paused.signal.aborted || signal?.aborted === true) throw error;
    throw new UserError(
      `Cannot measure on device "${profile.name}": it is paused: ${String(paused.signal.reason)}`,
    );
  });
  const measurement = results.get('reference model');
  if (measurement !== undefined) return measurement.latencyMs;
  throw new UserError(`Cannot measure on device "${profile.name}": ${problem}`);
}

export interface AddDeviceRequest {
  readonly name: string;
  /** Default: of the profile that is replaced, or this machine. */
  readonly transport?: DeviceProfile['transport'];
  /** Where left out: of the profile that is replaced, or one thread of the CPU. */
  readonly settings?: Partial<RuntimeSettings>;
  readonly description?: string;
  /** A profile of this name may be there: what is left out here is taken from it. */
  readonly replace?: boolean;
  /** Default: devices/NAME.json in the current folder. */
  readonly path?: string;
  /** The token belongs to the address given from now on, whatever it was used with before. */
  readonly moveToken?: boolean;
  readonly logger?: Logger;
  /** Stops it: throws InterruptedError. */
  readonly signal?: AbortSignal;
}

export interface AddedDevice {
  readonly path: string;
  readonly profile: DeviceProfile;
  readonly fingerprint: DeviceFingerprint;
  /** See `tryDevice`. */
  readonly referenceMs: number;
}

async function replaced({ name, replace, path }: AddDeviceRequest): Promise<DeviceProfile | undefined> {
  if ((path ?? ownDevicePath(name)) === ownDevicePath(name) && wouldShadow(name)) {
    throw new UserError(
      `Cannot add device "${name}": a device of this name ships with ofakit: give it another name, or write it elsewhere with --out`,
    );
  }
  const file = path !== undefined && existsSync(path) ? path : undefined;
  if (file === undefined && !deviceNames().includes(name)) return undefined;
  if (replace === true) return loadDevice(file ?? name);
  throw new UserError(`Cannot add device "${name}": it is there already; --replace writes it again`);
}

/**
 * Connects to a device, measures a fixed block there, and writes a profile with what the device is. Throws UserError
 * where there is such a profile and it is not to be replaced, and where the device does not answer or cannot measure;
 * nothing is written then.
 */
export async function addDevice(request: AddDeviceRequest): Promise<AddedDevice> {
  const { name, logger = silentLogger, path = ownDevicePath(name) } = request;
  const old = await replaced(request);
  const draft = validate(
    {
      format: 'ofakit.device/1',
      name,
      description: request.description ?? old?.description ?? '',
      transport: request.transport ?? old?.transport ?? { kind: 'local-process' },
      ...(old === undefined ? ordinarySettings : runtimeSettings(old)),
      ...request.settings,
    },
    deviceProfileSchema,
    `the profile of device "${name}"`,
  );
  if (request.moveToken === true) await moveTokenHere(draft);
  const connection = await connectDevice(draft, logger);
  try {
    const { fingerprint } = connection;
    const referenceMs = await tryDevice(connection, draft, logger, request.signal);
    const { settings, ...identity } = fingerprint;
    const { provider, threads } = settings;
    const { transport, description, ...rest } = draft;
    const profile: DeviceProfile = {
      ...rest,
      description:
        description !== ''
          ? description
          : `${identity.gpu ?? identity.cpu}, ${provider.name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      transport,
      identity,
    };
    await writeJson(path, deviceProfileSchema.parse(profile));
    return { path, profile, fingerprint, referenceMs };
  } finally {
    await connection.close();
  }
}
