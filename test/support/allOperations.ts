/** Every operation there is: whatever a file of src/graph/operations exports that is one. */
import { readdirSync } from 'node:fs';
import type { Operation } from '../../src/graph/graph.js';
import { packagePath } from '../../src/util/scripts.js';

const isOperation = (value: unknown): value is Operation<unknown> =>
  typeof value === 'object' && value !== null && 'evaluate' in value && 'onnx' in value;

export async function allOperations(): Promise<Operation<unknown>[]> {
  const files = readdirSync(packagePath('src/graph/operations')).filter((name) => name.endsWith('.ts'));
  const modules = await Promise.all(
    files.map(async (name) => {
      const path = packagePath(`src/graph/operations/${name}`);
      return (await import(/* @vite-ignore */ path)) as object;
    }),
  );
  return modules.flatMap((module) => Object.values(module).filter(isOperation));
}
