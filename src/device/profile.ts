/** Device profiles: devices/NAME.json says how a device is reached and how models run there. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { unknownName } from '../util/errors.js';
import { readJson } from '../util/files.js';
import { packagePath } from '../util/scripts.js';
import { identitySchema } from './machine.js';
import { optionsProblem } from './providers.js';
import { runtimeSettingsSchema, type RuntimeSettings } from './settings.js';

const profileShape = z.strictObject({
  format: z.literal('ofakit.device/1'),
  name: z.string().regex(/^[\w.-]+$/, 'must be letters, digits, ".", "_" or "-"'),
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

/** Where profiles are: the user's own, in the current folder, before those that ship with the package. */
export const deviceFolders = (): string[] => [OWN_DEVICES, packagePath('devices')];
const OWN_DEVICES = 'devices';

/** Where `ofa device add` writes a profile. */
export const ownDevicePath = (name: string): string => join(OWN_DEVICES, `${name}.json`);

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

/**
 * A profile by name, or from a file where `nameOrPath` ends in `.json`. Throws UserError: the known names for an unknown
 * one, the key that is wrong for a bad file.
 */
export async function loadDevice(
  nameOrPath: string,
  folders: readonly string[] = deviceFolders(),
): Promise<DeviceProfile> {
  if (nameOrPath.endsWith('.json')) return readJson(nameOrPath, deviceProfileSchema);
  const folder = folders.find((candidate) => namesIn(candidate).includes(nameOrPath));
  if (folder === undefined) throw unknownName('device', nameOrPath, deviceNames([...folders]));
  return readJson(join(folder, `${nameOrPath}.json`), deviceProfileSchema);
}
