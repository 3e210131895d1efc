/** The models that an agent has: files named by the hash of what was sent, the least recently used thrown away for others. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UserError } from '../../util/errors.js';
import { fileProblem } from '../../util/files.js';
import { ModelChecker } from './checker.js';
import type { ModelSupply } from './delivery.js';
import { unseal } from './seal.js';
import { hashSchema } from './wire.js';

/** This model is not accepted, now or later. */
export class ModelRefusedError extends UserError {
  override readonly name: string = 'ModelRefusedError';
}

/** It is larger than the agent takes. */
export class ModelTooLargeError extends ModelRefusedError {
  override readonly name = 'ModelTooLargeError';
}

/** What arrived is not what its hash says. */
export class ModelDamagedError extends UserError {
  override readonly name = 'ModelDamagedError';
}

/** The disk takes no more. */
export class StoreFullError extends UserError {
  override readonly name = 'StoreFullError';
}

const FULL: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

export interface ModelStoreLimits {
  /** Of one model. */
  readonly maxModelBytes: number;
  /** Of all of them. */
  readonly storeBytes: number;
}

const SUFFIX = '.onnx';
/** What an agent that was killed left half written. */
const LEFT_OVER = /^(incoming-\d+|[0-9a-f]{64}\.onnx\.[0-9a-f-]+)\.tmp$/;

export class ModelStore implements ModelSupply {
  /** Bytes by hash; least recently used first. */
  private readonly sizes = new Map<string, number>();
  private readonly held = new Map<string, number>();
  private readonly checker = new ModelChecker();
  private incoming = 0;

  private constructor(
    private readonly folder: string,
    private readonly limits: ModelStoreLimits,
  ) {}

  /** Opens a folder that an earlier agent may have filled. Throws UserError where it cannot be used. */
  static async open(folder: string, limits: ModelStoreLimits): Promise<ModelStore> {
    const store = new ModelStore(folder, limits);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const files: { hash: string; size: number; mtimeMs: number }[] = [];
      for (const name of await readdir(folder)) {
        const hash = name.slice(0, -SUFFIX.length);
        if (name.endsWith(SUFFIX) && hashSchema.safeParse(hash).success) {
          const { size, mtimeMs } = await stat(join(folder, name));
          files.push({ hash, size, mtimeMs });
        } else if (LEFT_OVER.test(name)) await rm(join(folder, name));
      }
      for (const { hash, size } of files.sort((a, b) => a.mtimeMs - b.mtimeMs)) store.sizes.set(hash, size);
    } catch (cause) {
      throw fileProblem('use', folder, cause);
    }
    await store.makeRoom(0);
    return store;
  }

  private path(hash: string): string {
    return join(this.folder, `${hash}${SUFFIX}`);
  }

  has(hash: string): boolean {
    return this.sizes.has(hash);
  }

  /** Throws UserError for a model that is not there any more, or damaged: it is forgotten, and may be sent again. */
  async read(hash: string): Promise<Uint8Array> {
    const size = this.sizes.get(hash);
    try {
      const bytes = await readFile(this.path(hash));
      if (bytes.byteLength !== size)
        throw new Error(`it must have ${size} bytes: it has ${bytes.byteLength}`);
      const model = unseal(bytes, hash);
      if (model === undefined) throw new Error('it is damaged: its content is not what was stored');
      // To the end of the line: it was used last.
      this.sizes.delete(hash);
      this.sizes.set(hash, size);
      return model;
    } catch (cause) {
      this.sizes.delete(hash);
      await rm(this.path(hash), { force: true }).catch(() => undefined);
      throw fileProblem('read', this.path(hash), cause);
    }
  }

  hold(hashes: readonly string[]): () => void {
    const change = (by: number): void => {
      for (const hash of new Set(hashes)) this.held.set(hash, (this.held.get(hash) ?? 0) + by);
    };
    change(1);
    return () => {
      change(-1);
      for (const [hash, count] of this.held) if (count === 0) this.held.delete(hash);
    };
  }

  /** Deletes models that nobody holds until `bytes` more fit. False where they cannot. */
  private async makeRoom(bytes: number): Promise<boolean> {
    const { storeBytes } = this.limits;
    let total = [...this.sizes.values()].reduce((sum, size) => sum + size, bytes);
    for (const [hash, size] of [...this.sizes]) {
      if (total <= storeBytes) break;
      if (this.held.has(hash)) continue;
      this.sizes.delete(hash);
      await rm(this.path(hash), { force: true });
      total -= size;
    }
    return total <= storeBytes;
  }

  /**
   * Takes a model in. Throws ModelRefusedError for what is too large, no model or not accepted, ModelDamagedError where
   * it is not what `hash` says, StoreFullError where the disk is full, UserError where it cannot be written.
   */
  async receive(hash: string, body: Readable, onBytes: () => void = () => undefined): Promise<void> {
    const { maxModelBytes } = this.limits;
    const temporary = join(this.folder, `incoming-${this.incoming++}.tmp`);
    const digest = createHash('sha256');
    let bytes = 0;
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.byteLength;
        digest.update(chunk);
        onBytes();
        if (bytes <= maxModelBytes) done(null, chunk);
        else
          done(
            new ModelTooLargeError(`Cannot accept the model: it must have at most ${maxModelBytes} bytes`),
          );
      },
    });
    try {
      await pipeline(body, count, createWriteStream(temporary, { mode: 0o600 }));
      if (digest.digest('hex') !== hash)
        throw new ModelDamagedError(`Cannot accept the model: its SHA-256 must be ${hash}: it is another`);
      if (!(await this.makeRoom(bytes)))
        throw new ModelRefusedError(
          `Cannot accept the model: all models of a job must have at most ${this.limits.storeBytes} bytes together`,
        );
      const answer = await this.checker.check({ from: temporary, to: this.path(hash), hash });
      if ('refused' in answer) throw new ModelRefusedError(answer.refused);
      if ('failed' in answer) {
        if (FULL.includes(answer.code)) throw this.full();
        throw new Error(answer.failed);
      }
      this.sizes.set(hash, answer.bytes);
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && FULL.includes(cause.code)) throw this.full();
      if (cause instanceof Error && 'syscall' in cause) throw fileProblem('write', temporary, cause);
      throw cause;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  private full(): StoreFullError {
    return new StoreFullError(
      `Cannot take the model: the disk of ${this.folder} is full: free some space there, or give the agent another --folder`,
    );
  }

  /** Nothing is received any more. */
  close(): Promise<void> {
    return this.checker.close();
  }
}
