/** How an engine gets its sessions: from the runtime, or from something between the two that watches them. */
import type { InferenceSession } from 'onnxruntime-node';
import type { SessionTimes } from './profile.js';
import type { Provider } from './providerName.js';
import { providerConfig, type FallbackReport } from './providers.js';
import type { Runtime } from './runtime.js';
import { ProfileFolder, type SessionProfile } from './sessionProfile.js';

export interface SessionFactory {
  create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
}

export const plainSessions = (runtime: Runtime): SessionFactory => ({
  create: (model, options) => runtime.InferenceSession.create(model, options),
});

/** A session that tells when it runs and ends. */
class WatchedSession implements InferenceSession {
  constructor(
    private readonly session: InferenceSession,
    private readonly around: <T>(run: () => Promise<T>) => Promise<T>,
    private readonly beforeRelease: () => Promise<void>,
  ) {}

  get inputNames(): readonly string[] {
    return this.session.inputNames;
  }
  get outputNames(): readonly string[] {
    return this.session.outputNames;
  }
  get inputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.session.inputMetadata;
  }
  get outputMetadata(): readonly InferenceSession.ValueMetadata[] {
    return this.session.outputMetadata;
  }

  run(
    feeds: InferenceSession.FeedsType,
    options?: InferenceSession.RunOptions,
  ): Promise<InferenceSession.ReturnType>;
  run(
    feeds: InferenceSession.FeedsType,
    fetches: InferenceSession.FetchesType,
    options?: InferenceSession.RunOptions,
  ): Promise<InferenceSession.ReturnType>;
  run(feeds: InferenceSession.FeedsType, ...rest: never[]): Promise<InferenceSession.ReturnType> {
    return this.around(() => this.session.run(feeds, ...rest));
  }

  async release(): Promise<void> {
    await this.beforeRelease();
    await this.session.release();
  }

  startProfiling(): void {
    this.session.startProfiling();
  }

  endProfiling(): void {
    this.session.endProfiling();
  }
}

/** Sessions of another provider than the processor. */
export const providerSessions = (sessions: SessionFactory, provider: Provider): SessionFactory => ({
  create: (model, options) =>
    sessions.create(model, { ...options, executionProviders: [providerConfig(provider, model)] }),
});

/** Sessions whose first run is profiled, each: operators that ran on the processor all the same are told to the report. */
export class FallbackSessions implements SessionFactory {
  private constructor(
    private readonly sessions: SessionFactory,
    private readonly report: FallbackReport,
    private readonly folder: ProfileFolder,
  ) {}

  static async open(sessions: SessionFactory, report: FallbackReport): Promise<FallbackSessions> {
    return new FallbackSessions(sessions, report, await ProfileFolder.open());
  }

  async create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
    const profile = this.folder.next();
    const session = await this.sessions.create(model, { ...options, ...profile.options });
    let told = false;
    return new WatchedSession(
      session,
      async (run) => {
        const result = await run();
        if (told) return result;
        told = true;
        this.report.add((await profile.read(session)).nodes);
        return result;
      },
      () => Promise.resolve(),
    );
  }

  close(): Promise<void> {
    return this.folder.close();
  }
}

interface Watched {
  readonly session: InferenceSession;
  readonly profile: SessionProfile;
  /** Of every run so far, whether it counts. */
  readonly runs: boolean[];
}

/** Sessions that are profiled, all of them, from their creation to `finish`. Runs that begin while `counting` count. */
export class ProfiledSessions implements SessionFactory {
  counting = false;
  private readonly live = new Set<Watched>();
  private readonly collected: SessionTimes[] = [];
  private finished = false;

  private constructor(
    private readonly sessions: SessionFactory,
    private readonly folder: ProfileFolder,
    private readonly report: FallbackReport | undefined,
  ) {}

  /** `report`: told what ran on the processor, where that is not what was asked for. */
  static async open(sessions: SessionFactory, report?: FallbackReport): Promise<ProfiledSessions> {
    return new ProfiledSessions(sessions, await ProfileFolder.open(), report);
  }

  async create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> {
    if (this.finished) return this.sessions.create(model, options);
    const profile = this.folder.next();
    const session = await this.sessions.create(model, { ...options, ...profile.options });
    const watched: Watched = { session, profile, runs: [] };
    this.live.add(watched);
    return new WatchedSession(
      session,
      async (run) => {
        watched.runs.push(this.counting);
        return run();
      },
      () => this.collect(watched),
    );
  }

  /** Ends all profiles; sessions go on without. One entry a session with runs that count. */
  async finish(): Promise<readonly SessionTimes[]> {
    this.finished = true;
    for (const watched of [...this.live]) await this.collect(watched);
    return this.collected;
  }

  close(): Promise<void> {
    return this.folder.close();
  }

  private async collect(watched: Watched): Promise<void> {
    if (!this.live.delete(watched)) return;
    const { session, profile, runs } = watched;
    const times = await profile.read(session, (run) => runs[run] === true);
    this.report?.add(times.nodes);
    if (times.runs > 0) this.collected.push(times);
  }
}
