/** NAS-Bench-Macro as a benchmark for strategies. */
import { macroArchitecture, macroGenes } from './macroSpace.js';
import { readMacroBenchmark } from './nasBenchMacro.js';
import { tabularBenchmark, type TabularBenchmark } from './tabular.js';

/** `path`: the benchmark's JSON file, or a part of it. Values are `top1`, `macs` and `params`. Throws UserError. */
export async function readMacroTable(path: string): Promise<TabularBenchmark> {
  const samples = await readMacroBenchmark(path);
  return tabularBenchmark(
    'nas-bench-macro',
    macroGenes,
    samples.map(({ architecture, top1, macs, params }) => ({
      architecture: macroArchitecture(architecture),
      values: { top1, macs, params },
    })),
  );
}
