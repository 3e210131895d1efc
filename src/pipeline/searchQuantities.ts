/** What a search of a run can seek or limit, by the words that users say. */
import { latencyFunction, type LatencyQuery } from '../latency/query.js';
import { costQuantities, latencyQuantity, type Quantity } from '../search/quantity.js';
import type { SearchSpace } from '../space/space.js';
import { unknownName, UserError } from '../util/errors.js';
import { isModulePath, loadObjective } from './ownObjective.js';

export interface SearchDevice {
  readonly name: string;
  readonly latency: LatencyQuery;
}

const LATENCY = 'latencyMs';
/** `macs:max` seeks what `macs` avoids: without accuracies, the largest network within limits is the best guess. */
const MOST = ':max';

export class SearchQuantities {
  readonly #known = new Map<string, Quantity>();
  readonly #files = new Map<string, Quantity>();
  readonly #most = new Map<string, Quantity>();

  private constructor(
    private readonly space: SearchSpace,
    private readonly devices: readonly SearchDevice[],
  ) {}

  /**
   * `words`: names, or files of modules, which are loaded. `accuracy`: absent where nothing predicts it. Throws UserError
   * for two devices of one name, and as `loadObjective`.
   */
  static async create(
    space: SearchSpace,
    devices: readonly SearchDevice[],
    accuracy: Quantity | undefined,
    words: readonly string[],
  ): Promise<SearchQuantities> {
    const own = new SearchQuantities(space, devices);
    if (accuracy !== undefined) own.#add(accuracy);
    for (const { name, latency } of devices)
      own.#add(latencyQuantity(latencyFunction(latency), devices.length === 1 ? undefined : name));
    for (const quantity of Object.values(costQuantities(space))) {
      own.#add(quantity);
      own.#most.set(`${quantity.name}${MOST}`, { ...quantity, direction: 'maximize' });
    }
    for (const word of words) if (isModulePath(word)) await own.#load(word);
    return own;
  }

  /** Those that a word means: more than one for latencies on several devices. Throws UserError for an unknown word. */
  get(word: string): readonly Quantity[] {
    const quantity = this.#files.get(word) ?? this.#most.get(word) ?? this.#known.get(word);
    if (quantity !== undefined) return [quantity];
    const latencies = this.devices.map(({ name }) => `${LATENCY}.${name}`);
    if (word === LATENCY && latencies.length > 1) return latencies.map((name) => this.#known.get(name)!);
    if (word === latencies[0]) return [this.#known.get(LATENCY)!];
    if (word.split('.')[0] === LATENCY && latencies.length === 0)
      throw new UserError(`Cannot search by ${word}: a device or its latency table is wanted: there is none`);
    throw unknownName('objective', word, [...this.#known.keys()]);
  }

  /** The accuracy first, if it is there, then latencies, then costs, then one's own. */
  all(): Quantity[] {
    return [...this.#known.values()];
  }

  async #load(path: string): Promise<void> {
    if (this.#files.has(path)) return;
    const quantity = await loadObjective(path, this.space);
    this.#add(quantity);
    this.#files.set(path, quantity);
  }

  #add(quantity: Quantity): void {
    const { name } = quantity;
    if (this.#known.has(name)) throw new UserError(`Cannot search by ${name}: two quantities have this name`);
    this.#known.set(name, quantity);
  }
}
