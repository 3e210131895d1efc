/**
 * What an agent accepts as a model: a plain network of the ONNX standard's operators with its weights inside. Nothing in
 * it may name a file, bring code, or go on for as long as it likes.
 */
import { UserError } from '../../util/errors.js';
import { onnx, type Onnx } from '../../lowering/onnxProto.js';
import { decodeModel } from '../../lowering/readOnnx.js';

/** Elements of all inputs together: 1 GiB of float32. */
const MAX_INPUT_ELEMENTS = 2 ** 28;
const MAX_NODES = 100_000;
const { EXTERNAL } = onnx.TensorProto.DataLocation;

const refusal = (problem: string): UserError => new UserError(`Cannot accept the model: ${problem}`);

const isStandard = (domain: string | null | undefined): boolean =>
  (domain ?? '') === '' || domain === 'ai.onnx';

/** At most 60 printable characters of a name from a file. */
const quoted = (name: string | null | undefined): string =>
  `"${(name ?? '').replace(/[^\x20-\x7e]/g, '?').slice(0, 60)}"`;

function checkTensor(tensor: Onnx.ITensorProto): void {
  if (tensor.dataLocation === EXTERNAL || (tensor.externalData?.length ?? 0) > 0) {
    throw refusal(`its weights must be inside: tensor ${quoted(tensor.name)} is in another file`);
  }
}

function checkNode({ opType, domain, name, attribute }: Onnx.INodeProto): void {
  const what = `operator ${quoted(opType)} at node ${quoted(name)}`;
  if (!isStandard(domain)) {
    throw refusal(`its operators must be those of the ONNX standard: ${what} is of domain ${quoted(domain)}`);
  }
  for (const { g, graphs, sparseTensor, sparseTensors, t, tensors } of attribute ?? []) {
    if (g || (graphs?.length ?? 0) > 0)
      throw refusal(`it must be one graph without loops or branches: ${what}`);
    if (sparseTensor || (sparseTensors?.length ?? 0) > 0) throw refusal(`its tensors must be dense: ${what}`);
    for (const tensor of [t, ...(tensors ?? [])]) if (tensor) checkTensor(tensor);
  }
}

/** Elements of an input; an open first dimension is the batch and counts once. */
function inputElements({ name, type }: Onnx.IValueInfoProto): number {
  const dims = type?.tensorType?.shape?.dim;
  if (!dims) throw refusal(`its inputs must be tensors with a shape: ${quoted(name)} is not`);
  return dims.reduce((product, { dimValue, dimParam }, axis) => {
    const size = Number(dimValue ?? 0);
    if (axis === 0 && (dimParam ?? '') !== '') return product;
    if (Number.isSafeInteger(size) && size > 0) return product * size;
    throw refusal(`its inputs must have static shapes: ${quoted(name)} has ${size} at axis ${axis}`);
  }, 1);
}

/**
 * The model written anew from what was understood of it. Throws UserError for what is not accepted.
 *
 * Written anew, because protocol buffers are read differently: a field that comes twice is merged by one reader and
 * replaced by another, so that a runtime could see a tensor that was not looked at here.
 */
export function checkModel(bytes: Uint8Array): Uint8Array {
  const model = decodeModel(bytes);
  const { node = [], input, initializer, sparseInitializer } = model.graph!;
  if (model.functions.length > 0 || model.trainingInfo.length > 0) {
    throw refusal('it must be one graph: it brings functions or training steps');
  }
  const foreign = model.opsetImport.find(({ domain }) => !isStandard(domain));
  if (foreign !== undefined || model.opsetImport.length === 0) {
    throw refusal(
      `its operators must be those of the ONNX standard: ${foreign === undefined ? 'it names none' : `it imports domain ${quoted(foreign.domain)}`}`,
    );
  }
  if ((sparseInitializer?.length ?? 0) > 0) throw refusal('its tensors must be dense');
  if (node!.length === 0 || node!.length > MAX_NODES)
    throw refusal(`it must have 1 to ${MAX_NODES} operators: it has ${node!.length}`);
  node!.forEach(checkNode);
  initializer?.forEach(checkTensor);
  const constants = new Set(initializer?.map(({ name }) => name));
  const elements = (input ?? [])
    .filter(({ name }) => !constants.has(name))
    .reduce((total, info) => total + inputElements(info), 0);
  if (!(elements <= MAX_INPUT_ELEMENTS))
    throw refusal(`its inputs must have at most ${MAX_INPUT_ELEMENTS} elements: they have ${elements}`);
  return onnx.ModelProto.encode(model).finish();
}
