/**
 * ONNX Runtime's profile of a session: a JSON array of events, one a line, times in whole microseconds. Kernels are
 * events of category `Node` called `NODE_kernel_time`; on WebGPU those only submit work, and events of category `Api`
 * called `NODE&OPERATOR&PROGRAM` hold what the device took. Every run ends with an event `model_run`. Read in the files of
 * 1.30.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { UserError } from '../../util/errors.js';
import { fileProblem } from '../../util/files.js';

/** One node of a session, over all runs that count. */
export interface NodeTime {
  readonly node: string;
  /** ONNX operator. */
  readonly opType: string;
  /** ONNX Runtime's name of what ran it, e.g. `CPUExecutionProvider`. */
  readonly provider: string;
  readonly calls: number;
  /** In the kernel: on the device where the runtime tells, else on the processor. */
  readonly microseconds: number;
}

export interface SessionTimes {
  readonly runs: number;
  /** From a run's call to its return, within the runtime. */
  readonly runMicroseconds: number;
  readonly nodes: readonly NodeTime[];
}

const eventSchema = z.object({
  cat: z.string(),
  name: z.string(),
  ts: z.number().nonnegative(),
  dur: z.number().nonnegative(),
  args: z.object({ op_name: z.string().optional(), provider: z.string().optional() }).optional(),
});

const KERNEL = '_kernel_time';

interface Sum {
  opType: string;
  provider: string;
  calls: number;
  host: number;
  device: number;
}

/** Adds up a profile, event by event. `counts`: which runs count, by their number from 0. */
export class ProfileSums {
  private readonly nodes = new Map<string, Sum>();
  private finished = 0;
  private runs = 0;
  private runMicroseconds = 0;
  /** Kernels of the run so far that lie in no other: a branch (`If`) comes behind those inside it, and holds their time. */
  private outermost: { readonly start: number; readonly duration: number }[] = [];

  constructor(private readonly counts: (run: number) => boolean = () => true) {}

  /** One line of the file. Throws UserError for one that is no event. */
  add(line: string): void {
    const text = line.trim().replace(/,$/, '');
    if (text === '' || text === '[' || text === ']') return;
    const { cat, name, ts, dur, args = {} } = parseEvent(text);
    const counts = this.counts(this.finished);
    if (cat === 'Session' && name === 'model_run') {
      this.finished++;
      this.outermost = [];
      if (!counts) return;
      this.runs++;
      this.runMicroseconds += dur;
    } else if (cat === 'Node' && name.endsWith(KERNEL)) {
      const sum = this.sum(name.slice(0, -KERNEL.length), args.op_name);
      if (args.provider !== undefined) sum.provider = args.provider;
      let own = dur;
      while ((this.outermost.at(-1)?.start ?? -1) >= ts) own -= this.outermost.pop()!.duration;
      this.outermost.push({ start: ts, duration: dur });
      if (!counts) return;
      sum.calls++;
      sum.host += Math.max(0, own);
    } else if (cat === 'Api') {
      const [node, opType] = name.split('&');
      this.sum(node!, opType).device += dur;
    }
  }

  times(): SessionTimes {
    const { runs } = this;
    // What the device took is written behind all runs, which are equal: each had its share.
    const share = this.finished === 0 ? 0 : runs / this.finished;
    return {
      runs,
      runMicroseconds: this.runMicroseconds,
      nodes: [...this.nodes].map(([node, { opType, provider, calls, host, device }]) => ({
        node,
        opType,
        provider,
        calls,
        microseconds: device > 0 ? device * share : host,
      })),
    };
  }

  private sum(node: string, opType = 'unknown'): Sum {
    let sum = this.nodes.get(node);
    if (sum === undefined)
      this.nodes.set(node, (sum = { opType, provider: '', calls: 0, host: 0, device: 0 }));
    return sum;
  }
}

function parseEvent(text: string): z.infer<typeof eventSchema> {
  try {
    return eventSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new UserError(
      `Cannot read a profile of ONNX Runtime: an event a line is wanted: current line is "${text.slice(0, 80)}"`,
      { cause },
    );
  }
}

/** Throws UserError for a file that cannot be read or is no profile. */
export async function readProfile(path: string, counts?: (run: number) => boolean): Promise<SessionTimes> {
  const sums = new ProfileSums(counts);
  const input = createReadStream(path, 'utf8');
  const opened = new Promise<never>((_, reject) => input.once('error', reject));
  try {
    await Promise.race([
      opened,
      (async () => {
        for await (const line of createInterface({ input, crlfDelay: Infinity })) sums.add(line);
      })(),
    ]);
  } catch (cause) {
    throw cause instanceof UserError ? cause : fileProblem('read', path, cause);
  } finally {
    input.destroy();
  }
  return sums.times();
}

/**
 * The graph operation that a node was written for. Targets name nodes `SCOPES/OPERATION` or `SCOPES/OPERATION/OPERATOR`, with
 * `_` and a number behind either where a name was taken, and `NUMBER:` before all of it in models of many graphs; the runtime
 * adds endings of that form. Undefined for nodes that come from no operation: branches, copies, what the runtime put in.
 */
export function operationOfNode(node: string): string | undefined {
  const parts = node.replace(/^\d+:/, '').split('/');
  return parts
    .findLast((part) => /^[a-z]/.test(part))
    ?.split('_')[0]!
    .match(/^[a-z][A-Za-z0-9]*$/)?.[0];
}
