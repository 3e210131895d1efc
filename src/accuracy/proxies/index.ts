/** All zero-cost proxies: add a definition and a place here; the conformance suite takes it from here. */
import { unknownName } from '../../util/errors.js';
import { grasp } from './grasp.js';
import { jacobianCovariance } from './jacobianCovariance.js';
import { naswot } from './naswot.js';
import type { ProxyDefinition } from './proxy.js';
import { snip } from './snip.js';
import { synflow } from './synflow.js';

export const zeroCostProxies: ReadonlyMap<string, ProxyDefinition> = new Map(
  [synflow, snip, grasp, jacobianCovariance, naswot].map((definition) => [definition.name, definition]),
);

/** Throws UserError naming the known ones. */
export function zeroCostProxyByName(name: string): ProxyDefinition {
  const definition = zeroCostProxies.get(name);
  if (definition === undefined) throw unknownName('zero-cost proxy', name, [...zeroCostProxies.keys()]);
  return definition;
}
