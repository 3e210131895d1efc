/**
 * Puts the messages of onnx-proto into dist/, over our protobufjs: onnx-proto asks for a version of its own, and overrides
 * do not reach who installs ofakit. In a checkout an override in package.json does the same, so what is tested is what is
 * installed. A step of the build.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = dirname(createRequire(import.meta.url).resolve('onnx-proto/package.json'));
const lowering = fileURLToPath(new URL('../dist/lowering/', import.meta.url));
const out = join(lowering, 'onnx-proto');

/** Throws where `from` is not there exactly once: onnx-proto is no longer what this was written for. */
function replaceOnce(text: string, from: string, to: string): string {
  const parts = text.split(from);
  if (parts.length !== 2)
    throw new Error(`onnx-proto must have "${from}" once: it is there ${parts.length - 1} times`);
  return parts.join(to);
}

const code = await readFile(join(source, 'dist/onnx.js'), 'utf8');
const types = await readFile(join(source, 'dist/onnx.d.ts'), 'utf8');

await mkdir(out, { recursive: true });
await copyFile(join(source, 'LICENSE'), join(out, 'LICENSE'));
await writeFile(
  join(out, 'onnx.js'),
  replaceOnce(
    replaceOnce(
      code,
      'var $protobuf = require("protobufjs/minimal");',
      "import $protobuf from 'protobufjs/minimal.js';",
    ),
    'module.exports = $root;',
    'export const { onnx } = $root;',
  ),
);
await writeFile(
  join(out, 'onnx.d.ts'),
  replaceOnce(
    types,
    'import * as $protobuf from "protobufjs";',
    "import type * as $protobuf from 'protobufjs';\ntype Long = ReturnType<$protobuf.Reader['int64']>;",
  ),
);
const entry = `export { onnx } from './onnx-proto/onnx.js';\n`;
await writeFile(join(lowering, 'onnxProto.js'), entry);
await writeFile(
  join(lowering, 'onnxProto.d.ts'),
  `${entry}export type { onnx as Onnx } from './onnx-proto/onnx.js';\n`,
);
