/** Where the time of training steps went, as a table. */
import type { TrainingProfile } from '../training/profile.js';
import { formatRows } from './console.js';

/** Parts below this share of a step are left to the JSON document. */
const SHOWN = 0.002;

/** Operations with their ONNX operators, the longest first, then what is not in kernels; milliseconds a step. */
export function formatProfile(profile: TrainingProfile): string {
  const { steps, warmupSteps, phases, batchSize, stepMs, imagesPerSecond, operations, outside } = profile;
  const row = (name: string, ms: number, calls?: number): string[] => [
    name,
    ms.toFixed(2).padStart(9),
    ((100 * ms) / stepMs).toFixed(1).padStart(6),
    calls === undefined ? '' : calls.toFixed(0).padStart(7),
  ];
  const shown = ({ ms }: { readonly ms: number }): boolean => ms >= SHOWN * stepMs;
  const rows = operations.filter(shown).flatMap(({ operation, ms, calls, operators }) => [
    row(operation, ms, calls),
    // One operator, and of the same time, says nothing more.
    ...(operators.length === 1 ? [] : operators.filter(shown)).map((part) =>
      row(`  ${part.operator}${place(part.provider)}`, part.ms, part.calls),
    ),
  ]);
  const inKernels = operations.reduce((sum, { ms }) => sum + ms, 0);
  const parts: [string, number][] = [
    ['between kernels', outside.betweenKernelsMs],
    ['calling programs', outside.callsMs],
    ['compiling programs', outside.compileMs],
    ['waiting for data', outside.dataMs],
    ['slicing weights', outside.slicingMs],
    ['scattering gradients', outside.scatterMs],
    ['updating weights', outside.updateMs],
    ['all else', outside.restMs],
  ];
  return (
    `Means of ${steps} steps after ${warmupSteps} that do not count (${phases.join(', ')}; ${batchSize} images a step)\n\n` +
    formatRows(
      ['', 'ms a step', '     %', 'kernels'],
      [
        ...rows,
        row('all kernels', inKernels),
        ...parts.map(([name, ms]) => row(name, ms)),
        row('step', stepMs),
      ],
    ) +
    `\n${imagesPerSecond.toFixed(1)} images/s\n`
  );
}

const place = (provider: string): string =>
  provider === 'CPUExecutionProvider' ? '' : ` (${provider.replace('ExecutionProvider', '')})`;
