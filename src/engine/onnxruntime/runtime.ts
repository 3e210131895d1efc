/** Loads onnxruntime-node when it is first needed: commands that only query tables never pay for it. */
import type * as ort from 'onnxruntime-node';
import { UserError } from '../../util/errors.js';

export type Runtime = typeof ort;

/** Throws UserError naming the platform and what to do where the native library does not load. */
export async function loadRuntime(): Promise<Runtime> {
  // Since 1.29 the runtime reports usage unless told not to before its library loads.
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`;
    throw new UserError(
      `Cannot load onnxruntime-node on ${platform}: ${(cause as Error).message.split('\n')[0]!}; ` +
        'it has binaries for linux-x64, linux-arm64 (glibc), win32-x64, win32-arm64 and darwin-arm64',
      { cause },
    );
  }
}
