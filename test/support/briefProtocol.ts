import { protocolByName, type Protocol } from '../../src/device/protocol.js';

/** As little as the protocol's rules allow: for tests that do not judge the figures. */
export const briefProtocol: Protocol = {
  ...protocolByName('quick'),
  warmup: { minRuns: 10, minMs: 0, window: 5, tolerance: 0.03, maxMs: 20 },
  round: { rewarmRuns: 1, minSamples: 3, minMs: 0, maxSamples: 5 },
  rounds: { min: 2, max: 2, ciTarget: 0.5, maxModelMs: 1000 },
  sentinel: { every: 10, samples: 3, tolerance: 0.05, cooldownMs: 1, maxRedo: 0 },
};
