import { UserError } from '../util/errors.js';
import type { DeviceTransport } from './transport.js';

/** A device that only others could measure: its table can be asked and searched with, it cannot be reached. */
export const none: DeviceTransport = {
  kind: 'none',
  connect({ name }) {
    return Promise.reject(
      new UserError(
        `Cannot measure on device "${name}": it cannot be reached from here, only the latency table that others measured is there; ` +
          'to measure a device of this kind, write a profile with another transport',
      ),
    );
  },
};
