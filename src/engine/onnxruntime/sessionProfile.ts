/** Sessions that write ONNX Runtime's profile: it goes to a file of its own in a temporary folder, until it is read. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { UserError } from '../../util/errors.js';
import { readProfile, type SessionTimes } from './profile.js';

/** The temporary folder of one engine's profiles. */
export class ProfileFolder {
  private count = 0;
  private readonly removeAtExit: () => void;

  private constructor(private readonly folder: string) {
    this.removeAtExit = () => rmSync(folder, { recursive: true, force: true });
    process.once('exit', this.removeAtExit);
  }

  static async open(): Promise<ProfileFolder> {
    return new ProfileFolder(await mkdtemp(join(tmpdir(), 'ofakit-profile-')));
  }

  /** For a session that is about to be created. */
  next(): SessionProfile {
    return new SessionProfile(this.folder, `session${this.count++}_`);
  }

  async close(): Promise<void> {
    process.off('exit', this.removeAtExit);
    await rm(this.folder, { recursive: true, force: true });
  }
}

export class SessionProfile {
  /** Options that the session is to be created with. */
  readonly options: Pick<InferenceSession.SessionOptions, 'enableProfiling' | 'profileFilePrefix'>;

  constructor(
    private readonly folder: string,
    private readonly prefix: string,
  ) {
    this.options = { enableProfiling: true, profileFilePrefix: join(folder, prefix) };
  }

  /**
   * Ends the profile of `session`, which goes on without one, and reads it, once. `counts`: which runs count, by their
   * number from 0; all unless given. Throws UserError where the runtime wrote none.
   */
  async read(session: InferenceSession, counts?: (run: number) => boolean): Promise<SessionTimes> {
    session.endProfiling();
    // The runtime adds the time of day to the prefix.
    const file = (await readdir(this.folder)).find((name) => name.startsWith(this.prefix));
    if (file === undefined)
      throw new UserError(`Cannot read a profile of ONNX Runtime: there is none in ${this.folder}`);
    const path = join(this.folder, file);
    try {
      return await readProfile(path, counts);
    } finally {
      await rm(path, { force: true });
    }
  }
}
