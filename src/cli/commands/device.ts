import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { DeviceFingerprint } from '../../device/fingerprint.js';
import type { DeviceProfile } from '../../device/profile.js';
import type { RuntimeSettings } from '../../device/settings.js';
import { UsageError } from '../../util/errors.js';
import { formatRows } from '../console.js';
import { integer, type CliContext, type Register } from '../context.js';

const precisions: readonly RuntimeSettings['precision'][] = ['float32', 'float16', 'int8'];
const optimizationLevels: readonly RuntimeSettings['optimizationLevel'][] = [
  'disabled',
  'basic',
  'extended',
  'layout',
  'all',
];

export const device: Register = (program, context) => {
  const command = program.command('device').description('device profiles');
  command
    .command('list')
    .description('the devices that can be measured')
    .addHelpText('after', '\nExample: ofa device list')
    .action(async (_options: unknown, self: Command) => {
      const { listDevices } = await import('../../device/profile.js');
      const profiles = await listDevices(await context.logger());
      context.result(self, profiles, () =>
        formatRows(
          ['device', 'transport', 'provider', 'threads', 'batch', 'description'],
          profiles.map(({ name, transport, provider, threads, batch, description }) => [
            name,
            transport.kind,
            provider.name,
            threads,
            batch,
            description,
          ]),
        ),
      );
    });
  command
    .command('check')
    .argument('<name>', 'a device in devices/ or a profile file')
    .description('whether a device answers and measures, and what it is')
    .addHelpText('after', '\nExample: ofa device check local-cpu')
    .action(async (name: string, _options: unknown, self: Command) => {
      const [{ openDevice }, { connectDevice }, { tryDevice }] = await Promise.all([
        import('../../device/profile.js'),
        import('../../device/transports.js'),
        import('../../device/add.js'),
      ]);
      const logger = await context.logger();
      const profile = await openDevice(name, logger);
      const connection = await connectDevice(profile, logger);
      try {
        const { fingerprint } = connection;
        const referenceMs = await tryDevice(connection, profile, logger, context.signal);
        const document = { device: profile.name, answers: true, referenceMs, fingerprint };
        context.result(self, document, () => describe(profile.name, fingerprint, referenceMs));
      } finally {
        await connection.close();
      }
    });
  addTo(command, context);
};

function describe(name: string, fingerprint: DeviceFingerprint, referenceMs: number): string {
  const { settings, ...machine } = fingerprint;
  const rows = Object.entries({ ...machine, ...settings }).map(([key, value]) => [
    key,
    typeof value === 'object' ? JSON.stringify(value) : `${value}`,
  ]);
  return `${name} answers; the reference model takes ${referenceMs.toFixed(3)} ms there\n${formatRows(['key', 'value'], rows)}`;
}

interface AddOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly description?: string;
  readonly provider?: string;
  readonly providerOption: Readonly<Record<string, string | number | boolean>>;
  readonly allowCpuOperators?: true;
  readonly threads?: number;
  readonly batch?: number;
  readonly precision?: RuntimeSettings['precision'];
  readonly optimizationLevel?: RuntimeSettings['optimizationLevel'];
  readonly pin?: readonly number[];
  readonly spinning?: true;
  readonly out?: string;
  readonly replace?: true;
  readonly moveToken?: true;
}

/** `KEY=VALUE` added to those before: numbers and booleans as such, everything else as text. */
function addProviderOption(
  text: string,
  before: Readonly<Record<string, string | number | boolean>>,
): Readonly<Record<string, string | number | boolean>> {
  const [, key, value] = /^(\w+)=(.*)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new UsageError(`Cannot use --provider-option: KEY=VALUE is wanted: current value is "${text}"`);
  }
  const plain = value === 'true' || value === 'false' ? value === 'true' : Number(value);
  return { ...before, [key]: value === '' || Number.isNaN(plain) ? value : plain };
}

const processors = (text: string): number[] => text.split(',').map(integer('pin'));

function addTo(command: Command, context: CliContext): void {
  command
    .command('add')
    .argument('<name>', 'what the device is to be called')
    .description('write the profile of a device that is there now, with what it is')
    .option('--url <url>', 'of an agent (ofa agent) on another machine (default: this machine)')
    .option('--token-file <file>', "the agent's secret")
    .option('--ca-file <file>', 'PEM certificate to trust instead of those of the system')
    .option('--provider <name>', 'execution provider of ONNX Runtime (default: cpu)')
    .option('--provider-option <key=value>', 'of the provider; may be given again', addProviderOption, {})
    .option('--allow-cpu-operators', 'measure models of which the provider leaves a part to the CPU')
    .option('--threads <n>', 'threads of an operator (default: 1)', integer('threads', 1))
    .option('--batch <n>', 'images a run (default: 1)', integer('batch', 1))
    .addOption(new Option('--precision <type>', 'of the numbers (default: float32)').choices(precisions))
    .addOption(
      new Option('--optimization-level <level>', 'of ONNX Runtime (default: all)').choices(
        optimizationLevels,
      ),
    )
    .option('--pin <list>', 'processors to bind the work to, e.g. 2,3', processors)
    .option('--spinning', 'idle threads spin: for machines that do nothing else')
    .option('--description <text>', 'one line for lists (default: what the device is)')
    .option('--out <file>', 'where to write (default: devices/NAME.json)')
    .option('--replace', 'write a profile again: what is not given here stays as it was')
    .option('--move-token', 'the agent of this token is at --url now, and no longer where it was first used')
    .addHelpText(
      'after',
      '\nExample: ofa device add pi --url http://raspberrypi.local:8753 --token-file pi.token',
    )
    .action(async (name: string, options: AddOptions, self: Command) => {
      const { addDevice } = await import('../../device/add.js');
      const { description, replace, out, moveToken, ...words } = options;
      const transport = transportOf(words);
      const { path, profile, fingerprint, referenceMs } = await addDevice({
        name,
        settings: settingsOf(words),
        logger: await context.logger(),
        signal: context.signal,
        ...(transport === undefined ? {} : { transport }),
        ...(description === undefined ? {} : { description }),
        ...(replace === undefined ? {} : { replace }),
        ...(moveToken === undefined ? {} : { moveToken }),
        ...(out === undefined ? {} : { path: out }),
      });
      context.result(
        self,
        { path, profile, referenceMs },
        () => `Wrote ${path}\n${describe(profile.name, fingerprint, referenceMs)}`,
      );
    });
}

/** Paths are written in full: a profile is used from other folders, too. */
function transportOf({ url, tokenFile, caFile }: AddOptions): DeviceProfile['transport'] | undefined {
  if (url === undefined) {
    if (tokenFile === undefined && caFile === undefined) return undefined;
    throw new UsageError('Cannot use --token-file or --ca-file without --url');
  }
  if (tokenFile === undefined) throw new UsageError('Cannot use --url without --token-file');
  const full = (path: string): string => (path.startsWith('~/') ? path : resolve(path));
  return {
    kind: 'remote',
    url,
    tokenFile: full(tokenFile),
    ...(caFile === undefined ? {} : { caFile: full(caFile) }),
  };
}

function settingsOf(options: AddOptions): Partial<RuntimeSettings> {
  const { provider, providerOption, threads, batch, precision, optimizationLevel, pin, spinning } = options;
  const [first, ...rest] = pin ?? [];
  const allow = options.allowCpuOperators === undefined ? {} : { allowCpuOperators: true as const };
  if (provider === undefined && Object.keys({ ...providerOption, ...allow }).length > 0)
    throw new UsageError('Cannot use --provider-option or --allow-cpu-operators without --provider');
  return {
    ...(provider === undefined ? {} : { provider: { name: provider, options: providerOption, ...allow } }),
    ...(threads === undefined ? {} : { threads }),
    ...(batch === undefined ? {} : { batch }),
    ...(precision === undefined ? {} : { precision }),
    ...(optimizationLevel === undefined ? {} : { optimizationLevel }),
    ...(first === undefined ? {} : { pin: [first, ...rest] }),
    ...(spinning === undefined ? {} : { spinning }),
  };
}
