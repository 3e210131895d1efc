/**
 * Prints docs/parity.md: imported supernets against the reference implementation, and what importing and exporting takes.
 * Usage: npx tsx scripts/parity.ts > docs/parity.md (needs ../shared/data/ofa-fixtures).
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { median } from 'simple-statistics';
import { exportSubnet, subnetModel } from '../src/export/exportSubnet.js';
import { importSupernet } from '../src/pipeline/import.js';
import { loadSpace } from '../src/space/presets.js';
import { sampleArchitecture } from '../src/space/sampling.js';
import { importWeights } from '../src/supernet/import/importWeights.js';
import { loadCheckpoint } from '../src/supernet/checkpoint.js';
import { silentLogger } from '../src/util/logger.js';
import { createRandom } from '../src/util/random.js';
import { foreignState } from '../test/support/foreignSupernet.js';
import { hasOfaFixtures, loadOfaFixture, OFA_FIXTURES } from '../test/support/ofaFixtures.js';
import { subnetParity, type SubnetParity } from '../test/support/parity.js';
import { disturbedWeights } from '../test/support/supernets.js';
import { writeTorchFile } from '../test/support/torchFile.js';

const ROUNDS = 9;

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}

async function parityTables(): Promise<string> {
  const results: { network: string; subnets: SubnetParity[] }[] = [];
  for (const fixture of OFA_FIXTURES) {
    const { network, space, checkpoint, subnets } = loadOfaFixture(fixture);
    const weights = await importWeights(await readFile(checkpoint), space, checkpoint);
    const list: SubnetParity[] = [];
    for (const subnet of subnets) list.push(await subnetParity(space, weights, subnet));
    results.push({ network, subnets: list });
  }
  const paths = [...results[0]!.subnets[0]!.differences.keys()];
  const equal = (list: readonly SubnetParity[], key: 'macsEqual' | 'paramsEqual'): string =>
    `${list.filter((subnet) => subnet[key]).length} of ${list.length}`;
  const worst = (list: readonly SubnetParity[], path: string): string =>
    Math.max(...list.map(({ differences }) => differences.get(path) ?? Infinity)).toExponential(1);
  return markdownTable(
    ['', ...results.map(({ network }) => network)],
    [
      ['subnets checked', ...results.map(({ subnets }) => `${subnets.length}`)],
      ['MACs equal to the unit', ...results.map(({ subnets }) => equal(subnets, 'macsEqual'))],
      ['parameters equal to the unit', ...results.map(({ subnets }) => equal(subnets, 'paramsEqual'))],
      ...paths.map((path) => [path, ...results.map(({ subnets }) => worst(subnets, path))]),
    ],
  );
}

async function timeMs(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const range = (times: readonly number[]): string =>
  `${Math.round(median([...times]))} ms (${Math.round(Math.min(...times))} to ${Math.round(Math.max(...times))})`;

async function timings(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ofakit-parity-'));
  try {
    const space = await loadSpace('ofa-mbv3');
    const path = join(folder, 'supernet.pth');
    const state = foreignState(space, disturbedWeights(space, 'parity'));
    const file = writeTorchFile(new Map([['state_dict', state]]));
    await writeFile(path, file);
    const imports: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const request = {
        format: 'ofa-pytorch',
        weights: path,
        space,
        folder: join(folder, `run${i}`),
        logger: silentLogger,
      } as const;
      imports.push(await timeMs(() => importSupernet(request)));
    }
    const { weights } = await loadCheckpoint(join(folder, 'run0'));
    const random = createRandom(0, 'parity');
    const writing: number[] = [];
    const verifying: number[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      const arch = { ...sampleArchitecture(space.genes, random), imageSize: 224 };
      const outPath = join(folder, 'subnet.onnx');
      writing.push(await timeMs(() => writeFile(outPath, subnetModel({ space, weights, arch }))));
      verifying.push(await timeMs(() => exportSubnet({ space, weights, arch, outPath })));
    }
    return markdownTable(
      ['ofa-mbv3, width 1.0', `median of ${ROUNDS} (least to most)`],
      [
        [
          `import of a checkpoint of ${(file.length / 2 ** 20).toFixed(1)} MiB: read, check, write the run`,
          range(imports),
        ],
        ['export of a random subnet at 224 x 224: build and write the ONNX file', range(writing)],
        ['the same, and verify it at every optimisation level and read back', range(verifying)],
      ],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (!hasOfaFixtures) throw new Error('../shared/data/ofa-fixtures is not there');
const load = loadavg()[0]!;
const tables = { parity: await parityTables(), times: await timings() };
process.stdout.write(`# Parity with the reference implementation

Supernets of [once-for-all](https://github.com/mit-han-lab/once-for-all) with random weights, saved by PyTorch, imported with
\`ofa import\`; what the reference computes for their subnets in float64 is the standard. Batch norm's statistics are taken as
they are. Rows of paths: largest difference of a logit over all subnets, relative to the largest |logit| of its subnet; the
reference itself differs by 1e-6 to 2e-6 between float32 and float64, and 1e-4 is the limit that tests hold.

${tables.parity}
- *supernet graph*: kernel transforms and batch norms inside, weights sliced as in training.
- *ONNX file*: kernels extracted and batch norms folded, as \`ofa export\` writes it.

## Time

On ${cpus().length} cores of ${cpus()[0]!.model.trim()}, Node.js ${process.versions.node}; load average before: ${load.toFixed(1)}.

${tables.times}
Printed by \`npx tsx scripts/parity.ts\`.
`);
