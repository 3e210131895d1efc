/** A subnet of a supernet as a file that was checked before it got its name. */
import { inferenceGraph } from '../graph/network.js';
import { toFile, type Architecture } from '../space/architecture.js';
import { canonical } from '../space/canonical.js';
import { blockParameters } from '../space/parameters.js';
import type { SearchSpace } from '../space/space.js';
import { subnetTensors } from '../supernet/slicing.js';
import { extractSubnet, staticNetwork } from '../supernet/subnet.js';
import { UserError } from '../util/errors.js';
import { writeAtomic } from '../util/files.js';
import { formatShape, sameShape, type Tensor } from '../util/tensor.js';
import type { ModelMetadata } from './metadata.js';
import { buildModel } from './model.js';
import { seal } from './seal.js';
import { requirePassed, runExactly, verifyModel, type Verification } from './verify.js';

export interface Subnet {
  readonly space: SearchSpace;
  /** All of the supernet's. */
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly arch: Architecture;
  /** Recalibrated batch-norm statistics by full name; without, the supernet's own, which fit only the largest. */
  readonly statistics?: ReadonlyMap<string, Tensor>;
}

export interface ExportRequest extends Subnet {
  readonly outPath: string;
  /** Images a run. Default 1. */
  readonly batch?: number | 'dynamic';
  /** Names in the order of the logits. */
  readonly classes?: readonly string[];
  readonly normalisation?: ModelMetadata['normalisation'];
  readonly accuracy?: ModelMetadata['accuracy'];
  readonly latency?: ModelMetadata['latency'];
  readonly tolerance?: number;
}

export interface ExportResult {
  readonly path: string;
  readonly sizeBytes: number;
  readonly verification: Verification;
}

/** What an exported file says of the subnet it holds. Throws RangeError for class names that are not one a class. */
export function subnetMetadata(request: Omit<ExportRequest, 'outPath' | 'weights'>): ModelMetadata {
  const { space, arch, classes, normalisation, accuracy, latency } = request;
  const { name, parameters } = space;
  if (classes !== undefined && classes.length !== parameters.classes) {
    throw new RangeError(
      `Cannot export the subnet: ${parameters.classes} names of classes are wanted: there are ${classes.length}`,
    );
  }
  const [first, ...sizes] = parameters.imageSizes;
  return {
    architecture: toFile(canonical(space.genes, arch)),
    space: {
      name,
      overrides: { width: parameters.width, classes: parameters.classes, imageSizes: [first!, ...sizes] },
    },
    classes,
    normalisation,
    accuracy,
    latency,
  };
}

/** ONNX of a subnet, not verified. */
export function subnetModel(request: Omit<ExportRequest, 'outPath'>): Uint8Array {
  const { space, weights, arch, statistics, batch = 1 } = request;
  const network = space.network(arch);
  const model = buildModel({
    network: staticNetwork(network),
    tensors: extractSubnet(weights, network, statistics),
    batch,
    name: space.name,
    metadata: subnetMetadata(request),
  });
  return seal(model);
}

/**
 * Logits of the supernet itself: kernels transformed inside the graph, batch norm as it is, weights sliced as in
 * training. Shares with an exported file neither folding nor extraction. images: [N, C, S, S].
 */
export async function supernetLogits(
  { space, weights, arch, statistics }: Subnet,
  images: Tensor,
): Promise<Tensor> {
  const { blocks } = space.network(arch);
  const tensors = new Map<string, Tensor>();
  for (const block of blocks) {
    const own = subnetTensors(weights, block);
    for (const { name } of blockParameters(block, 'used')) {
      const full = `${block.name}.${name}`;
      tensors.set(full, statistics?.get(full) ?? own.get(name)!);
    }
  }
  return (await runExactly(inferenceGraph(blocks, tensors, images.shape[0]!), images)).logits;
}

/** `verifyModel` of an exported file against the supernet it came from. Throws UserError where it is of another shape. */
export function verifySubnet(
  bytes: Uint8Array,
  subnet: Subnet,
  options: { readonly tolerance?: number; readonly where?: string } = {},
): Promise<Verification> {
  const { where = 'the model' } = options;
  const { input } = subnet.space.network(subnet.arch);
  return verifyModel(bytes, {
    mostBytes: Infinity,
    ...options,
    expectedLogits: (images) => {
      const wanted = [images.shape[0]!, input.channels, input.height, input.width];
      if (sameShape(images.shape, wanted)) return supernetLogits(subnet, images);
      throw new UserError(
        `Cannot compare ${where} with the subnet: images must be ${formatShape(wanted)}: the file's are ${formatShape(images.shape)}`,
      );
    },
  });
}

/** ONNX of a subnet that computes what the supernet does. Throws UserError saying what differs, calling it `outPath`. */
export async function verifiedModel(
  request: ExportRequest,
): Promise<{ readonly bytes: Uint8Array; readonly verification: Verification }> {
  const { outPath, tolerance } = request;
  const bytes = subnetModel(request);
  const verification = await verifySubnet(bytes, request, {
    where: outPath,
    ...(tolerance === undefined ? {} : { tolerance }),
  });
  requirePassed(verification, outPath);
  return { bytes, verification };
}

/**
 * Writes the ONNX file of a subnet; only one that computes what the supernet does, at every optimisation level of ONNX
 * Runtime, ever gets to `outPath`. Throws UserError saying what differs, RangeError for tensors or names that do not fit.
 */
export async function exportSubnet(request: ExportRequest): Promise<ExportResult> {
  const { outPath } = request;
  const { bytes, verification } = await verifiedModel(request);
  await writeAtomic(outPath, bytes);
  return { path: outPath, sizeBytes: bytes.length, verification };
}
