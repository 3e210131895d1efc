/** Device profiles: devices/NAME.json says how a device is reached and how models run there. */
import { readdirSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { UserError, unknownName } from '../util/errors.js';
import { readBytes, readJson } from '../util/files.js';
import type { Logger } from '../util/logger.js';
import { packagePath } from '../util/scripts.js';
import { identitySchema } from './machine.js';
import { optionsProblem } from './providers.js';
import { runtimeSettingsSchema, type RuntimeSettings } from './settings.js';
import { checkName, nameSchema, pathInside } from '../util/names.js';

const profileShape = z.strictObject({
  format: z.literal('ofakit.device/1'),
  name: nameSchema,
  description: z.string(),
  /** `kind` names an entry of transports.ts, which checks the rest. */
  transport: z.looseObject({ kind: z.string().min(1) }),
  /** What the device was when the profile was made: connecting to another one is an error. */
  identity: identitySchema.optional(),
  ...runtimeSettingsSchema.shape,
});
export const deviceProfileSchema = profileShape.superRefine(({ provider }, issues) => {
  const problem = optionsProblem(provider);
  if (problem !== undefined)
    issues.addIssue({ code: 'custom', path: ['provider', 'options'], message: problem });
});
export type DeviceProfile = z.infer<typeof deviceProfileSchema>;

export function runtimeSettings(profile: DeviceProfile): RuntimeSettings {
  const { provider, threads, batch, precision, optimizationLevel, pin, spinning } = profile;
  return { provider, threads, batch, precision, optimizationLevel, pin, spinning };
}

/** Where profiles are: those of the current folder, and those that ship with the package. No name may mean two of them. */
export const deviceFolders = (): string[] => [OWN_DEVICES, shippedDevices()];
const OWN_DEVICES = 'devices';
const shippedDevices = (): string => packagePath('devices');

/** Where `ofa device add` writes a profile. */
export const ownDevicePath = (name: string): string =>
  pathInside(OWN_DEVICES, `${checkName('device', name)}.json`);

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.json'))
      .map((file) => basename(file, '.json'));
  } catch {
    return [];
  }
}

/** Names of the profiles in `folders`, sorted. */
export function deviceNames(folders = deviceFolders()): string[] {
  return [...new Set(folders.flatMap(namesIn))].sort();
}

function isShippedFolder(folder: string): boolean {
  try {
    return realpathSync(folder) === realpathSync(shippedDevices());
  } catch {
    return false;
  }
}

/** Whether a profile of this name in the current folder would take the place of one that ships with ofakit. */
export const wouldShadow = (name: string): boolean =>
  namesIn(shippedDevices()).includes(name) && !isShippedFolder(OWN_DEVICES);

/** A profile of the current folder has the name of one that ships with ofakit, and other content. */
export class ShadowedDeviceError extends UserError {
  override readonly name = 'ShadowedDeviceError';
}

interface FoundDevice {
  readonly profile: DeviceProfile;
  readonly path: string;
  readonly shipped: boolean;
}

const readDevice = async (path: string, shipped: boolean): Promise<FoundDevice> => ({
  profile: await readJson(path, deviceProfileSchema),
  path,
  shipped,
});

async function findDevice(nameOrPath: string, folders: readonly string[]): Promise<FoundDevice> {
  if (nameOrPath.endsWith('.json')) return readDevice(nameOrPath, false);
  const found = folders.filter((folder) => namesIn(folder).includes(nameOrPath));
  const [first] = found;
  if (first === undefined) throw unknownName('device', nameOrPath, deviceNames([...folders]));
  const path = join(first, `${nameOrPath}.json`);
  const shipped = found.find(isShippedFolder);
  if (shipped === undefined || shipped === first) return readDevice(path, shipped === first);
  const standard = join(shipped, `${nameOrPath}.json`);
  // Settings, and where a secret is sent, would be somebody else's: whoever wrote this folder.
  if ((await readBytes(path)).equals(await readBytes(standard))) return readDevice(standard, true);
  throw new ShadowedDeviceError(
    `Cannot use device "${nameOrPath}": a name must mean one device: ${path} of this folder is not the device of this name ` +
      `that ships with ofakit; rename the file, or name it itself where it is what you want: ./${path}`,
  );
}

/**
 * A profile by name, or from a file where `nameOrPath` ends in `.json`. Throws UserError: the known names for an unknown
 * one, the key that is wrong for a bad file, the file that has the name of a device that ships with ofakit
 * (ShadowedDeviceError).
 */
export async function loadDevice(
  nameOrPath: string,
  folders: readonly string[] = deviceFolders(),
): Promise<DeviceProfile> {
  return (await findDevice(nameOrPath, folders)).profile;
}

/** A profile that ships with ofakit, whatever the current folder has. Throws as `loadDevice`. */
export const loadShippedDevice = (name: string): Promise<DeviceProfile> =>
  loadDevice(name, [shippedDevices()]);

/** What a profile reaches out to, and with which secret. */
function describeTransport({ transport }: DeviceProfile): string {
  const { kind, url, tokenFile } = transport;
  if (typeof url !== 'string') return kind;
  return typeof tokenFile === 'string' ? `the agent at ${url}, with the token of ${tokenFile}` : url;
}

/**
 * As `loadDevice`; a profile that does not ship with ofakit is named to `logger`, with what it connects to. Call it
 * before the first connection.
 */
export async function openDevice(nameOrPath: string, logger: Pick<Logger, 'info'>): Promise<DeviceProfile> {
  const { profile, path, shipped } = await findDevice(nameOrPath, deviceFolders());
  if (!shipped) logger.info(`Device "${profile.name}" is that of ${path}: ${describeTransport(profile)}`);
  return profile;
}

/** All profiles, by name. One that must not be used for its name is told to `logger`: the shipped one is listed. */
export function listDevices(logger: Pick<Logger, 'warn'>): Promise<DeviceProfile[]> {
  return Promise.all(
    deviceNames().map(async (name) => {
      try {
        return await loadDevice(name);
      } catch (error) {
        if (!(error instanceof ShadowedDeviceError)) throw error;
        logger.warn(error.message);
        return loadShippedDevice(name);
      }
    }),
  );
}
