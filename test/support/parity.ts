/** A subnet of an imported supernet against what the reference computed for it, by every path there is. */
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { subnetModel, supernetLogits } from '../../src/export/exportSubnet.js';
import { verifyModel } from '../../src/export/verify.js';
import { inferenceGraph } from '../../src/graph/network.js';
import { networkCosts } from '../../src/space/costs.js';
import { blockParameters } from '../../src/space/parameters.js';
import type { SearchSpace } from '../../src/space/space.js';
import { subnetTensors } from '../../src/supernet/slicing.js';
import type { SupernetWeights } from '../../src/supernet/weights.js';
import { tensor, type Tensor } from '../../src/util/tensor.js';
import { fixtureArchitecture, fixtureImage, type FixtureSubnet } from './ofaFixtures.js';

export interface SubnetParity {
  /** Largest difference of logits by path, relative to the largest |logit| of the reference in float64. */
  readonly differences: ReadonlyMap<string, number>;
  readonly macsEqual: boolean;
  readonly paramsEqual: boolean;
  /** What the check of the exported file found. */
  readonly problems: readonly string[];
}

export async function subnetParity(
  space: SearchSpace,
  weights: SupernetWeights,
  subnet: FixtureSubnet,
): Promise<SubnetParity> {
  const arch = fixtureArchitecture(subnet);
  const images = fixtureImage(subnet);
  const { logits_f64: expected } = subnet;
  const differences = new Map<string, number>();
  const exact = await supernetLogits({ space, weights, arch }, images);
  differences.set('supernet graph, float64', relativeDifference(exact, expected));
  const run = await runSupernet(space, weights, subnet, images);
  differences.set('supernet graph, ONNX Runtime', relativeDifference(run, expected));

  const model = subnetModel({ space, weights, arch });
  const verification = await verifyModel(model, {
    images,
    expectedLogits: () => Promise.resolve(tensor([1, expected.length], Float32Array.from(expected))),
  });
  for (const { path, relativeDifference: difference } of verification.paths) {
    const name = path.startsWith('ofakit')
      ? 'ONNX file, read back'
      : `ONNX file, ${path.replace('onnxruntime', 'ONNX Runtime')}`;
    differences.set(name, difference);
  }
  const { macs, params } = networkCosts(space.network(arch));
  return {
    differences,
    macsEqual: macs === subnet.macs,
    paramsEqual: params === subnet.params,
    problems: verification.problems,
  };
}

/** The graph with kernel transforms and batch norms in it, in float32. */
async function runSupernet(
  space: SearchSpace,
  weights: SupernetWeights,
  subnet: FixtureSubnet,
  images: Tensor,
): Promise<Tensor> {
  const { blocks } = space.network(fixtureArchitecture(subnet));
  const tensors = new Map<string, Tensor>();
  for (const block of blocks) {
    const own = subnetTensors(weights, block);
    for (const { name } of blockParameters(block, 'used'))
      tensors.set(`${block.name}.${name}`, own.get(name)!);
  }
  const engine = await createOnnxRuntimeEngine();
  const program = await engine.compile(inferenceGraph(blocks, tensors, 1));
  try {
    return (await program.run({ input: images }))['logits']!;
  } finally {
    await program.dispose();
    await engine.dispose();
  }
}

function relativeDifference({ data }: Tensor, expected: readonly number[]): number {
  if (data.length !== expected.length) return Infinity;
  const largest = Math.max(...expected.map(Math.abs));
  const differences = expected.map((v, i) => Math.abs(v - data[i]!));
  return differences.some(Number.isNaN) ? Infinity : Math.max(...differences) / largest;
}
