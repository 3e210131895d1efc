/** The transports that the conformance suite holds to their contract: add a line to add one. */
import type { DeviceProfile } from '../../../src/device/profile.js';
import { hasChromium, NO_GPU } from '../../support/chromium.js';
import { localProfile, remoteProfile, startTestAgent } from './agent.js';
import { openPage, startTestBrowserAgent } from './browserAgent.js';

export interface TransportUnderTest {
  readonly name: string;
  /** Starts what the transport needs. */
  readonly start: () => Promise<{
    /** A device that measures float32 models on one thread. */
    readonly profile: DeviceProfile;
    readonly stop: () => Promise<void>;
  }>;
}

const local: TransportUnderTest = {
  name: 'local-process',
  start: () => Promise.resolve({ profile: localProfile, stop: () => Promise.resolve() }),
};

const remote: TransportUnderTest = {
  name: 'remote',
  async start() {
    const agent = await startTestAgent();
    return { profile: remoteProfile(agent), stop: () => agent.remove() };
  },
};

/** A browser behind an agent. Left out where there is none; `browser.test.ts` says so. */
const browser: TransportUnderTest = {
  name: 'remote, a browser',
  async start() {
    const { agent, profile } = await startTestBrowserAgent();
    const page = await openPage(agent, NO_GPU);
    return {
      profile,
      async stop() {
        await page.close();
        await agent.remove();
      },
    };
  },
};

export const transportsUnderTest: readonly TransportUnderTest[] = [
  local,
  remote,
  ...(hasChromium ? [browser] : []),
];
