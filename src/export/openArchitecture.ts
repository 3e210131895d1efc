/** Architectures from whatever ofakit writes, exported models among it. */
import { open } from 'node:fs/promises';
import type { Architecture } from '../space/architecture.js';
import { readArchitecture } from '../space/file.js';
import type { SearchSpace } from '../space/space.js';

/** As `readArchitecture`, and the file of an exported model, which says what it is. Throws UserError. */
export async function openArchitecture(text: string, space: SearchSpace): Promise<Architecture> {
  const trimmed = text.trim();
  if (!(await isModel(trimmed))) return readArchitecture(text, space);
  const { modelArchitecture } = await import('./modelArchitecture.js');
  return modelArchitecture(trimmed, space);
}

/** Models are named `.onnx`, or start with the tag of a model's version, with which no text does. */
async function isModel(path: string): Promise<boolean> {
  if (/\.onnx$/i.test(path)) return true;
  try {
    const handle = await open(path);
    try {
      const { bytesRead, buffer } = await handle.read(new Uint8Array(1), 0, 1, 0);
      return bytesRead === 1 && buffer[0] === 0x08;
    } finally {
      await handle.close();
    }
  } catch {
    return false;
  }
}
