/**
 * Translates src/training/kernels/sgd.wat into the module that is compiled where it runs: `npx tsx scripts/build-wasm.ts`
 * after every change of it. The result is in the repository, so that users and tests need no assembler; a test compares.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';
import { writeAtomic } from '../src/util/files.js';

const folder = fileURLToPath(new URL('../src/training/kernels/', import.meta.url));

const module = (await wabt()).parseWat('sgd.wat', await readFile(`${folder}sgd.wat`, 'utf8'), { simd: true });
const bytes = module.toBinary({}).buffer;
module.destroy();
const lines =
  Buffer.from(bytes)
    .toString('base64')
    .match(/.{1,100}/g) ?? [];
await writeAtomic(
  `${folder}sgdModule.ts`,
  `/** WebAssembly of sgd.wat, in base64; made by scripts/build-wasm.ts. */
export const SGD_MODULE =
${lines.map((line) => `  '${line}'`).join(' +\n')};
`,
);
