/** The fastest way to score many subnets on this machine, found by trying for a second or two. */
import { forwardGraph } from '../graph/network.js';
import { peakBytes } from '../graph/peakMemory.js';
import type { Architecture } from '../space/architecture.js';
import { extractSubnet } from '../supernet/subnet.js';
import type { EvaluationSettings, Throughput } from '../training/evaluator.js';
import { scoringSpeed, type SampleSubnet } from '../training/throughput.js';
import type { Logger } from '../util/logger.js';
import { machineBytes } from './memory.js';
import type { SupernetRun } from './run.js';
import type { Lane } from './lanes.js';
import type { Runtime } from './runtime.js';

/** Of fewer subnets, trying would take longer than it saves. */
export const FEWEST_FOR_TRYING = 8;
const BATCHES = [50, 100, 200];
/** Part of the machine's memory that programs may take while they run. */
const MEMORY_SHARE = 0.25;

export interface ThroughputRequest {
  readonly run: Pick<SupernetRun, 'space' | 'weights'>;
  readonly runtime: Runtime;
  readonly settings: Pick<EvaluationSettings, 'calibrationBatch' | 'evaluationBatch'>;
  /** One of those to be scored, which stands for all. */
  readonly architecture: Architecture;
  readonly logger: Logger;
}

export interface OpenThroughput extends Throughput {
  /** Ends the threads. */
  close(): Promise<void>;
}

/** As the runtime does everything else: one subnet after the other. */
export const plainThroughput = (
  runtime: Runtime,
  { evaluationBatch }: Pick<EvaluationSettings, 'evaluationBatch'>,
): OpenThroughput => ({ lanes: [runtime], evaluationBatch, close: () => Promise.resolve() });

/** How many lanes there could be, with how many threads each: 1 of all, as many as there are threads, and between. */
function partitions(threads: number): { readonly lanes: number; readonly threads: number }[] {
  const lanes = [threads, threads >> 1, threads >> 2].filter((count) => count > 1);
  return [...new Set(lanes)].map((count) => ({ lanes: count, threads: Math.floor(threads / count) }));
}

/** Scores do not depend on what is chosen. The caller closes it. */
export async function openThroughput(request: ThroughputRequest): Promise<OpenThroughput> {
  const { run, runtime, settings, architecture, logger } = request;
  const plain = plainThroughput(runtime, settings);
  const network = run.space.network(architecture);
  const sample: SampleSubnet = { network, tensors: extractSubnet(run.weights, network) };
  const limit = MEMORY_SHARE * machineBytes();
  const fits = (lanes: number, batch: number): boolean =>
    lanes * peakBytes(forwardGraph(network.blocks, batch, 'calibration')) <= limit;
  const speed = ({ lanes }: Throughput, batch = settings.evaluationBatch): Promise<number> =>
    scoringSpeed(
      lanes.map(({ inference }) => inference),
      sample,
      batch,
    );

  let best = { throughput: plain, speed: await speed(plain) };
  const alone = best.speed;
  for (const { lanes, threads } of runtime.lanes === undefined ? [] : partitions(runtime.lanes.threads)) {
    if (!fits(lanes, settings.calibrationBatch)) continue;
    const opened = await openLanes(() => runtime.lanes!.open(threads), lanes);
    const other: OpenThroughput = {
      lanes: opened,
      evaluationBatch: settings.evaluationBatch,
      close: async () => {
        await Promise.all(opened.map((lane) => lane.close()));
      },
    };
    const own = await speed(other);
    const slower = own > best.speed ? best.throughput : other;
    if (own > best.speed) best = { throughput: other, speed: own };
    await slower.close();
  }
  for (const evaluationBatch of BATCHES) {
    const { throughput } = best;
    if (evaluationBatch === throughput.evaluationBatch || !fits(throughput.lanes.length, evaluationBatch))
      continue;
    const own = await speed(throughput, evaluationBatch);
    if (own > best.speed) best = { throughput: { ...throughput, evaluationBatch }, speed: own };
  }
  const { throughput } = best;
  logger.info(
    `Scoring ${throughput.lanes.length} subnet${throughput.lanes.length === 1 ? '' : 's'} at a time in batches of ${throughput.evaluationBatch}: ` +
      `${best.speed.toFixed(0)} images/s, against ${alone.toFixed(0)} one at a time in batches of ${settings.evaluationBatch}`,
  );
  return throughput;
}

/** All or none. */
async function openLanes(open: () => Promise<Lane>, count: number): Promise<Lane[]> {
  const opened = await Promise.allSettled(Array.from({ length: count }, open));
  const lanes = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = opened.find((each) => each.status === 'rejected');
  if (failed === undefined) return lanes;
  for (const lane of lanes) await lane.close();
  throw failed.reason;
}
