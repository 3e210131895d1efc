/**
 * tsx scripts/check-package.ts [--out FOLDER] [--effort FACTOR]
 *
 * What users install: packs ofakit as it was built, installs it in an empty project, and there compiles README's examples
 * against its types, imports it, runs the quickstart into FOLDER, verifies its models, and imports and exports a supernet as
 * others save it. Nothing of the checkout is in reach there: a dependency that is missing or another version fails here.
 * FACTOR stretches the quickstart's training (default 0.05). `npm publish` runs it first.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { foreignState } from '../test/support/foreignSupernet.js';
import { shippedSpace } from '../test/support/spaces.js';
import { disturbedWeights } from '../test/support/supernets.js';
import { writeTorchFile } from '../test/support/torchFile.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values: given } = parseArgs({
  options: { out: { type: 'string' }, effort: { type: 'string', default: '0.05' } },
});
const project = await mkdtemp(join(tmpdir(), 'ofakit-package-'));
const quickstart = resolve(given.out ?? join(project, 'quickstart'));
const shell = process.platform === 'win32';

/** What the command printed; its messages are shown. Throws where it fails. */
function run(cwd: string, command: string, ...words: string[]): string {
  return execFileSync(command, words, {
    cwd,
    shell,
    encoding: 'utf8',
    maxBuffer: 1e8,
    stdio: ['ignore', 'pipe', 'inherit'],
    // The switch that README names: without it npm before 12 fetches libraries from NuGet on Linux x64.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
  });
}

async function compileExamples(): Promise<void> {
  const readme = await readFile(join(project, 'node_modules/ofakit/README.md'), 'utf8');
  const examples = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
  if (examples.length === 0) throw new Error('README must have examples: there are none');
  const files = await Promise.all(
    examples.map(async (code, i) => {
      const file = `example${i}.mts`;
      await writeFile(join(project, file), code);
      return file;
    }),
  );
  // The package's declarations are checked, too: they may name nothing that is not installed with it.
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'ES2022',
    module: 'NodeNext',
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  run(project, process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '-p', '.');
}

/** Every version of every package below ofakit. */
function installed(): Map<string, Set<string>> {
  const tree = z.object({
    version: z.string().optional(),
    get dependencies() {
      return z.record(z.string(), tree).optional();
    },
  });
  const versions = new Map<string, Set<string>>();
  const collect = ({ dependencies = {} }: z.infer<typeof tree>): void => {
    for (const [name, node] of Object.entries(dependencies)) {
      versions.set(name, (versions.get(name) ?? new Set()).add(node.version ?? 'missing'));
      collect(node);
    }
  };
  collect(tree.parse(JSON.parse(run(project, 'npm', 'ls', '--all', '--json'))));
  return versions;
}

/** Versions that users get and tests did not have. Ranges allow newer ones: said, and no failure. */
async function tellDifferences(versions: ReadonlyMap<string, ReadonlySet<string>>): Promise<void> {
  const lock = z
    .object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) })
    .parse(JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')));
  for (const [name, found] of versions) {
    const tested = Object.entries(lock.packages)
      .filter(([path]) => path.endsWith(`node_modules/${name}`))
      .map(([, { version }]) => version);
    const other = [...found].filter(
      (version) => name !== 'ofakit' && version !== 'missing' && !tested.includes(version),
    );
    if (other.length > 0)
      console.log(`${name}: users get ${other.join(', ')}, tested is ${tested.join(', ') || 'none'}`);
  }
}

try {
  const { name, repository } = z
    .object({ name: z.string(), repository: z.object({ url: z.url() }) })
    .parse(JSON.parse(await readFile(join(root, 'package.json'), 'utf8')));
  if (process.env['npm_command'] === 'publish' && new URL(repository.url).hostname.endsWith('.example'))
    throw new Error(`Cannot publish: repository must be a public address: it is ${repository.url}`);
  run(root, 'npm', 'pack', '--ignore-scripts', '--pack-destination', project);
  const tarball = (await readdir(project)).find((file) => file.startsWith(name) && file.endsWith('.tgz'))!;
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  run(project, 'npm', 'install', '--no-audit', '--no-fund', `./${tarball}`);

  const versions = installed();
  await tellDifferences(versions);
  const buffers = [...(versions.get('protobufjs') ?? [])];
  if (buffers.length !== 1 || versions.has('onnx-proto'))
    throw new Error(`There must be one protobufjs, and no onnx-proto: there is ${buffers.join(', ')}`);

  await compileExamples();
  const imported = `import('ofakit').then(({ verifyModel }) => process.stdout.write(typeof verifyModel))`;
  if (run(project, process.execPath, '--eval', imported) !== 'function')
    throw new Error('verifyModel must be there for who imports ofakit: it is not');

  await mkdir(quickstart, { recursive: true });
  const effort = given.effort;
  process.stdout.write(run(project, 'npx', 'ofa', 'quickstart', '--out', quickstart, '--effort', effort));
  const models = (await readdir(quickstart)).filter((file) => file.endsWith('.onnx'));
  if (models.length === 0) throw new Error('The quickstart must leave models: there are none');
  for (const model of models) run(project, 'npx', 'ofa', 'verify', join(quickstart, model));
  console.log(`${models.length} models of the installed package verified`);

  // A supernet as others save it, through the reader of checkpoints to a verified file.
  const space = shippedSpace('mbv3-tiny');
  const state = foreignState(space, disturbedWeights(space, 'package'));
  await writeFile(join(project, 'supernet.pth'), writeTorchFile(new Map([['state_dict', state]])));
  const ofa = (...words: string[]): string => run(project, 'npx', 'ofa', ...words);
  ofa('import', '--weights', 'supernet.pth', '--space', space.name, '--out', 'imported');
  ofa('export', '--supernet', 'imported', '--arch', 'smallest', '--no-calibrate', '--out', 'imported.onnx');
  ofa('verify', 'imported.onnx');
  console.log('A supernet was imported, exported and verified');
} finally {
  await rm(project, { recursive: true, force: true });
}
