import { once } from 'node:events';
import { Option, type Command } from 'commander';
import type { ServeOptions } from '../../device/agent/serve.js';
import { UsageError } from '../../util/errors.js';
import { integer, number, type Register } from '../context.js';

interface AgentCommandOptions {
  readonly port: number;
  readonly tokenFile: string;
  readonly host: string;
  readonly cert?: string;
  readonly key?: string;
  readonly folder?: string;
  readonly maxModelMb: number;
  readonly storeMb: number;
  readonly maxMemoryMb?: number;
  readonly maxModelSeconds: number;
  readonly maxJobs: number;
  readonly browser?: true;
}

const MIB = 2 ** 20;

interface Running {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  /** Addresses of the page for browsers. */
  readonly pages?: readonly string[];
  /** The one that other devices can open, if there is one. */
  readonly phonePage?: string;
  close(): Promise<void>;
}

type Serve = Omit<ServeOptions, 'executor' | 'routes'>;

async function startLocal(serve: Serve, maxMemoryMb: number | undefined): Promise<Running> {
  const [{ serveAgent }, { createLocalExecutor }, { totalmem }] = await Promise.all([
    import('../../device/agent/serve.js'),
    import('../../device/localProcess.js'),
    import('node:os'),
  ]);
  const maxMemoryBytes = maxMemoryMb === undefined ? 0.75 * totalmem() : maxMemoryMb * MIB;
  return serveAgent({ ...serve, executor: createLocalExecutor({ maxMemoryBytes }) });
}

async function startBrowser(serve: Serve): Promise<Running> {
  const { serveBrowserAgent } = await import('../../device/browser/serve.js');
  const agent = await serveBrowserAgent(serve);
  const { pageUrls: pages, phoneUrl: phonePage } = agent;
  return { ...agent, pages, ...(phonePage === undefined ? {} : { phonePage }) };
}

/** Why there is no QR code, and what makes one. */
const onlyHere = (host: string, port: number): string =>
  /^(0\.0\.0\.0|::)$/.test(host)
    ? 'Only this machine can open the page: it has no address in a network'
    : 'Only this machine can open the page: for a phone, and a QR code of an address that it can open, start the agent with ' +
      `--host 0.0.0.0 (with --cert and --key for threads and WebGPU), or forward the port (adb reverse tcp:${port} tcp:${port})`;

export const agent: Register = (program, context) => {
  program
    .command('agent')
    .description('let other machines measure models on this one; runs until it is stopped')
    .requiredOption('--port <n>', 'port to listen on; 0 for any that is free', integer('port'))
    .requiredOption('--token-file <file>', 'the secret that clients need; made where there is none')
    .option('--browser', 'measure in a browser: serve a page that makes the device that opens it the one')
    .option('--host <address>', 'interface to listen on; 0.0.0.0 for all', '127.0.0.1')
    .option('--cert <file>', 'PEM certificate: HTTPS instead of HTTP')
    .option('--key <file>', 'PEM key of the certificate')
    .option('--folder <dir>', 'where models and jobs are kept (default: ~/.cache/ofakit/agent-PORT)')
    .addOption(
      new Option('--max-model-mb <n>', 'size of a model')
        .default(512)
        .argParser(number('max-model-mb', { above: 0 })),
    )
    .addOption(
      new Option('--store-mb <n>', 'size of all models that are kept')
        .default(2048)
        .argParser(number('store-mb', { above: 0 })),
    )
    .addOption(
      new Option(
        '--max-memory-mb <n>',
        "memory of a measurement (default: three quarters of the machine's)",
      ).argParser(number('max-memory-mb', { above: 0 })),
    )
    .addOption(
      new Option('--max-model-seconds <n>', 'time of a job for each of its models')
        .default(300)
        .argParser(number('max-model-seconds', { above: 0 })),
    )
    .addOption(
      new Option('--max-jobs <n>', 'jobs that wait or run').default(16).argParser(integer('max-jobs', 1)),
    )
    .addHelpText('after', '\nExample: ofa agent --port 8753 --token-file ~/.ofakit/token')
    .action(async (options: AgentCommandOptions, self: Command) => {
      const { port, host, cert, key, tokenFile, folder } = options;
      if ((cert === undefined) !== (key === undefined)) {
        throw new UsageError('Cannot use --cert without --key, or --key without --cert');
      }
      const logger = await context.logger();
      const { signal } = context;
      const serve = {
        port,
        host,
        tokenFile,
        logger,
        limits: {
          maxModelBytes: options.maxModelMb * MIB,
          storeBytes: options.storeMb * MIB,
          maxModelMs: options.maxModelSeconds * 1000,
          maxJobs: options.maxJobs,
        },
        ...(cert === undefined || key === undefined ? {} : { certFile: cert, keyFile: key }),
        ...(folder === undefined ? {} : { folder }),
      };
      const running =
        options.browser === true ? await startBrowser(serve) : await startLocal(serve, options.maxMemoryMb);
      const { url, pages, phonePage } = running;
      const document = {
        url,
        port: running.port,
        tokenFile,
        folder: running.folder,
        ...(pages && { pages }),
      };
      const qrCode =
        phonePage === undefined ? '' : `${(await import('uqr')).renderUnicodeCompact(phonePage)}\n`;
      if (pages !== undefined && phonePage === undefined) logger.info(onlyHere(host, running.port));
      context.result(
        self,
        document,
        () =>
          `Listening at ${url}\n` +
          (pages === undefined ? '' : `Open on the device:\n${pages.join('\n')}\n${qrCode}`),
      );
      try {
        if (!signal.aborted) await once(signal, 'abort');
      } finally {
        await running.close();
      }
    });
};
