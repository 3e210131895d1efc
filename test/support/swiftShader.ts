/** A GPU in software, so that WebGPU can be tested anywhere: Debian's package chromium brings it with a Vulkan loader. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const folder = [process.env['OFAKIT_SWIFTSHADER'], '/usr/lib/chromium'].find(
  (path) =>
    path !== undefined &&
    ['libvulkan.so.1', 'vk_swiftshader_icd.json'].every((file) => existsSync(join(path, file))),
);

export const noSwiftShader =
  'SKIPPED: no SwiftShader; install the package chromium, or set OFAKIT_SWIFTSHADER to a folder with libvulkan.so.1 and vk_swiftshader_icd.json';

/** Environment of a process that shall find it; undefined where there is none. */
export const swiftShaderEnvironment: Readonly<Record<string, string>> | undefined =
  folder === undefined
    ? undefined
    : { LD_LIBRARY_PATH: folder, VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json') };
