/** Devices from the command line: an agent that is a process, killed and started again, with clocks that jump. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { renderUnicodeCompact } from 'uqr';
import { afterEach, describe, expect, it } from 'vitest';
import { lanAddresses } from '../../src/device/browser/serve.js';
import { measureModels } from '../../src/device/measure.js';
import type { LatencyMeasurement } from '../../src/device/measurement.js';
import { deviceProfileSchema, loadDevice } from '../../src/device/profile.js';
import { nullModel, blockModel } from '../../src/device/referenceModels.js';
import { distinctBlocks } from '../../src/latency/blocks.js';
import { fillTable } from '../../src/latency/fill.js';
import { randomBlockModel } from '../../src/latency/models.js';
import { readTable } from '../../src/latency/table.js';
import { loadSpace } from '../../src/space/presets.js';
import { silentLogger } from '../../src/util/logger.js';
import { remoteProfile } from '../device/support/agent.js';
import { startAgentProcess, type AgentProcess } from '../device/support/agentProcess.js';
import { briefProtocol } from '../support/briefProtocol.js';
import { endlessModel } from '../support/smallModels.js';
import { isOneLine, ofa, type Result } from './support/cli.js';
import { temporaryFolder } from './support/folder.js';

const path = temporaryFolder();
const running: AgentProcess[] = [];
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.end('SIGKILL');
});

const words = (folder: string, port = 0): string[] => [
  // A token belongs to one address.
  ...['--port', `${port}`, '--token-file', path(`${folder}.token`), '--folder', path(folder)],
];

async function start(
  folder: string,
  port?: number,
  env?: Readonly<Record<string, string>>,
): Promise<AgentProcess> {
  const agent = await startAgentProcess(words(folder, port), env);
  running.push(agent);
  return agent;
}

/** Processes that this one started, on Linux. */
const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

describe('ofa agent and ofa device', () => {
  it('turn a machine into a device', async () => {
    const agent = await start('first');
    expect(agent).toMatchObject({ tokenFile: path('first.token'), folder: path('first') });
    expect(agent.stderr()).toContain('Made a token');
    if (process.platform !== 'win32') expect(statSync(path('first.token')).mode & 0o777).toBe(0o600);
    const cwd = path('.');
    const add = ['--json', 'device', 'add', 'here'];
    const remote = ['--url', agent.url, '--token-file', 'first.token', '--pin', '0', '--batch', '2'];
    const added = await ofa([...add, ...remote], { cwd });
    expect(added).toMatchObject({ code: 0 });
    const written = deviceProfileSchema.parse(JSON.parse(readFileSync(path('devices', 'here.json'), 'utf8')));
    expect(JSON.parse(added.stdout)).toMatchObject({ path: 'devices/here.json', profile: written });
    expect(written).toMatchObject({
      transport: { kind: 'remote', url: agent.url, tokenFile: path('first.token') },
      identity: { arch: process.arch, host: `node ${process.version}` },
      threads: 1,
      batch: 2,
      pin: [0],
    });

    const listed = await ofa(['--json', 'device', 'list'], { cwd });
    const names = (JSON.parse(listed.stdout) as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['here', 'local-cpu']));
    const check = ['--json', 'device', 'check', 'here'];
    expect(JSON.parse((await ofa(check, { cwd })).stdout)).toMatchObject({ answers: true, device: 'here' });

    const again = await ofa([...add, ...remote], { cwd });
    expect(again).toMatchObject({
      code: 1,
      stderr: 'Cannot add device "here": it is there already; --replace writes it again\n',
    });
    const replaced = await ofa([...add, '--replace', '--optimization-level', 'basic'], { cwd });
    expect(JSON.parse(replaced.stdout)).toMatchObject({
      profile: { transport: written.transport, optimizationLevel: 'basic', pin: [0] },
    });

    expect(await agent.end('SIGTERM')).toBe(0);
    const gone = await ofa(check, { cwd });
    expect(gone).toMatchObject({ code: 1, stdout: '' });
    const [which, ...message] = gone.stderr.split(/^/m);
    expect(which).toMatch(/^Device "here" is that of devices\/here\.json: the agent at /);
    expect(isOneLine(message.join(''))).toBe(true);
    expect(message.join('')).toMatch(
      /^Cannot use device "here": Cannot reach the agent at .*: nothing listens there/,
    );
    expect(await ofa([...add.with(-1, 'other'), ...remote], { cwd })).toMatchObject({ code: 1 });
    expect(existsSync(path('devices', 'other.json'))).toBe(false);
  }, 120_000);

  it('name the profile of a folder before they connect, and let none take the place of a shipped one', async () => {
    const local = await loadDevice('local-cpu');
    const cwd = path('cloned');
    mkdirSync(path('cloned', 'devices'), { recursive: true });
    const write = (file: string, change: object): void =>
      writeFileSync(path('cloned', 'devices', file), JSON.stringify({ ...local, ...change }));
    write('local-cpu.json', {
      transport: { kind: 'remote', url: 'http://127.0.0.1:9', tokenFile: '~/.npmrc' },
    });
    const shadowed = await ofa(['device', 'check', 'local-cpu'], { cwd });
    expect(shadowed).toMatchObject({ code: 1, stdout: '' });
    expect(shadowed.stderr).toMatch(
      /^Cannot use device "local-cpu": .*devices\/local-cpu\.json .* ships with ofakit; rename the file/,
    );
    expect(isOneLine(shadowed.stderr)).toBe(true);
    const listed = await ofa(['--json', 'device', 'list'], { cwd });
    expect(JSON.parse(listed.stdout)).toContainEqual(local);
    expect(listed.stderr).toContain('devices/local-cpu.json');
    const added = await ofa(['device', 'add', 'local-cpu', '--replace'], { cwd });
    expect(added).toMatchObject({ code: 1 });
    expect(added.stderr).toMatch(/a device of this name ships with ofakit: give it another name/);

    writeFileSync(path('cloned', 'secret'), '//registry.npmjs.org/:_authToken=npm_0123456789abcdefghij\n');
    write('mine.json', {
      name: 'mine',
      transport: { kind: 'remote', url: 'http://127.0.0.1:9', tokenFile: 'secret' },
    });
    const named = await ofa(['device', 'check', 'mine'], { cwd });
    expect(named.code).toBe(1);
    const [first, second] = named.stderr.split('\n');
    expect(first).toBe(
      'Device "mine" is that of devices/mine.json: the agent at http://127.0.0.1:9, with the token of secret',
    );
    expect(second).toMatch(/^Cannot use the token in secret: .*; nothing of it was sent; /);
    expect(named.stderr).not.toContain('npm_0123456789abcdefghij');
  });

  it.each([
    [['agent', '--port', '0'], /--token-file/],
    [['agent', ...words('x'), '--cert', 'a.pem'], /Cannot use --cert without --key/],
    [['device', 'add', 'x', '--url', 'http://localhost:1'], /Cannot use --url without --token-file/],
    [['device', 'add', 'x', '--token-file', 'token'], /Cannot use --token-file or --ca-file without --url/],
    [['device', 'add', 'x', '--provider-option', 'a=1'], /Cannot use --provider-option .*without --provider/],
    [['device', 'add', 'x', '--provider', 'cpu', '--provider-option', 'a'], /KEY=VALUE is wanted/],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await ofa(args, { cwd: path('.') });
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });

  it('show a QR code of an address that a phone can open, or say what makes one', async () => {
    const start = async (folder: string, host: string): Promise<Result> =>
      ofa(['agent', '--browser', '--host', host, ...words(folder)], {
        onStart: (child) => child.stdout!.once('data', () => child.kill('SIGTERM')),
      });
    const here = await start('loopback', '127.0.0.1');
    expect(here.code).toBe(0);
    expect(here.stdout).toMatch(/Open on the device:\nhttp:\/\/localhost:\d+\/#ofakit_\S+\n$/);
    expect(here.stderr).toMatch(/Only this machine can open the page: for a phone.*--host 0\.0\.0\.0/);
    const [lan] = lanAddresses();
    const everywhere = await start('lan', '0.0.0.0');
    const [, page] = /Open on the device:\n(\S+)\n/.exec(everywhere.stdout) ?? [];
    if (lan === undefined) expect(everywhere.stderr).toContain('it has no address in a network');
    else {
      expect(page).toContain(`//${lan}:`);
      expect(everywhere.stdout).toContain(renderUnicodeCompact(page!));
    }
  });

  it('do not start where the port is taken', async () => {
    const agent = await start('taken');
    const { code, stderr } = await ofa(['agent', ...words('taken too', agent.port)]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Cannot listen on 127\.0\.0\.1, port \d+: .*EADDRINUSE/m);
  });
});

describe('an agent that is killed', () => {
  it('and started again: the table lacks nothing, and no block is blamed', async () => {
    let agent = await start('killed');
    const { port } = agent;
    const space = await loadSpace('mbv3-tiny', { imageSizes: [16] });
    let restarted: Promise<void> | undefined;
    const restart = async (): Promise<void> => {
      await agent.end('SIGKILL');
      agent = await start('killed', port);
    };
    const { table, failures } = await fillTable({
      path: path('table.json'),
      space,
      device: remoteProfile(agent),
      // So few at a time that there is a middle.
      protocol: { ...briefProtocol, interleave: 9 },
      buildModel: (block) => randomBlockModel(block, 1),
      logger: {
        ...silentLogger,
        progress: () => ({
          stop: () => undefined,
          update: (done) => {
            if (done === 10) restarted ??= restart();
          },
        }),
      },
    });
    expect(restarted).toBeDefined();
    await restarted;
    expect(failures.size).toBe(0);
    expect(Object.keys(table.entries).sort()).toEqual(
      distinctBlocks(space, [16])
        .map(({ key }) => key)
        .sort(),
    );
    expect(await readTable(path('table.json'))).toEqual(table);
  }, 120_000);

  it.skipIf(process.platform !== 'linux')('leaves no process behind that computes on', async () => {
    const agent = await start('orphan');
    const stop = new AbortController();
    const profile = remoteProfile(agent, { patienceSeconds: 0.5 });
    const measuring = measureModels(profile, [{ id: 'endless', onnx: endlessModel() }], briefProtocol, {
      signal: stop.signal,
    }).catch((error: unknown) => error as Error);
    await expect.poll(() => childrenOf(agent.pid).length, { timeout: 20_000 }).toBe(1);
    const [worker] = childrenOf(agent.pid);
    const cpuOf = (): number => Number(readFileSync(`/proc/${worker!}/stat`, 'utf8').split(' ')[13]);
    // Well inside the run that never ends.
    await expect.poll(cpuOf, { timeout: 20_000 }).toBeGreaterThan(60);
    await agent.end('SIGKILL');
    await expect.poll(() => existsSync(`/proc/${worker!}`), { timeout: 20_000 }).toBe(false);
    stop.abort();
    expect(await measuring).toBeInstanceOf(Error);
  });
});

describe('a clock that jumps by hours', () => {
  it('changes no result: all times are of clocks that cannot be set', async () => {
    const jumping =
      'let n = 0; const now = Date.now.bind(Date); Date.now = () => now() + (++n % 2 ? 36e5 : -36e5);';
    const agent = await start('clock', 0, {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(jumping)}`,
    });
    const { now } = Date;
    let jumps = 0;
    Date.now = () => now() + (++jumps % 2 === 0 ? 36e5 : -36e5);
    try {
      const start = performance.now();
      const local = await loadDevice('local-cpu');
      for (const profile of [remoteProfile(agent), local]) {
        const kept = new Map<string, LatencyMeasurement>();
        const models = [
          { id: 'empty', onnx: nullModel },
          { id: 'small', onnx: () => blockModel(28) },
        ];
        await measureModels(profile, models, briefProtocol, {
          onResult: (id, result) => void kept.set(id, result),
        });
        const elapsedMs = performance.now() - start;
        expect([...kept.keys()].sort()).toEqual(['empty', 'small']);
        for (const { latencyMs, rawMs, firstRunMs, meanMs, samples, repeats } of kept.values()) {
          for (const time of [latencyMs, rawMs, firstRunMs, meanMs * samples * repeats]) {
            expect(time).toBeLessThan(elapsedMs);
          }
        }
        expect(kept.get('small')!.latencyMs).toBeGreaterThan(kept.get('empty')!.latencyMs);
      }
    } finally {
      Date.now = now;
    }
  });
});
