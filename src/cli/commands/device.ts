import type { Command } from 'commander';
import { formatRows } from '../console.js';
import type { Register } from '../context.js';

export const device: Register = (program, context) => {
  const command = program.command('device').description('device profiles');
  command
    .command('list')
    .description('the devices that can be measured')
    .addHelpText('after', '\nExample: ofa device list')
    .action(async (_options: unknown, self: Command) => {
      const { deviceNames, loadDevice } = await import('../../device/profile.js');
      const profiles = await Promise.all(deviceNames().map((name) => loadDevice(name)));
      context.result(self, profiles, () =>
        formatRows(
          ['device', 'provider', 'threads', 'batch', 'description'],
          profiles.map(({ name, provider, threads, batch, description }) => [
            name,
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
    .description('whether a device answers, and what it is')
    .addHelpText('after', '\nExample: ofa device check local-cpu')
    .action(async (name: string, _options: unknown, self: Command) => {
      const [{ loadDevice }, { connectDevice }] = await Promise.all([
        import('../../device/profile.js'),
        import('../../device/transports.js'),
      ]);
      const profile = await loadDevice(name);
      const connection = await connectDevice(profile, await context.logger());
      try {
        const { fingerprint } = connection;
        context.result(self, { device: profile.name, answers: true, fingerprint }, () => {
          const { settings, ...machine } = fingerprint;
          const rows = Object.entries({ ...machine, ...settings }).map(([key, value]) => [
            key,
            typeof value === 'object' ? JSON.stringify(value) : `${value}`,
          ]);
          return `${profile.name} answers\n${formatRows(['key', 'value'], rows)}`;
        });
      } finally {
        await connection.close();
      }
    });
};
