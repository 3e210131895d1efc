/** Where jobs are carried out: in a child process here, or in a browser. It is what an agent offers to other machines. */
import type { Logger } from '../util/logger.js';
import type { RuntimeSettings } from './settings.js';
import type { DeviceConnection } from './transport.js';

export interface Executor {
  /** Gets ready for jobs with these settings. Throws UserError where they cannot be used there. */
  connect(settings: RuntimeSettings, logger: Logger): Promise<DeviceConnection>;
  /** Where there may be nobody to measure on: throws UserError while a job could not begin. */
  checkReady?(settings: RuntimeSettings): void;
}
