/** What must hold for an exported file before anybody runs it. */
import { OPSET } from '../lowering/onnx.js';
import type { Onnx } from '../lowering/onnxProto.js';
import { decodeModel } from '../lowering/readOnnx.js';
import { UserError } from '../util/errors.js';
import { decodeMetadata, METADATA_KEYS } from './metadata.js';

/** Only training needs them, or no inference runtime likes them. */
const UNWANTED = new Set(['BatchNormalization', 'Dropout', 'Identity', 'Loop', 'If', 'Scan']);
const REQUIRED = [METADATA_KEYS.architecture, METADATA_KEYS.space];

/** Properties of a file, those repeated counted once. */
export const propertiesOf = ({ metadataProps }: Onnx.ModelProto): Map<string, string> =>
  new Map(metadataProps.map(({ key, value }) => [key ?? '', value ?? '']));

function repeated(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return [...new Set(names.filter((name) => seen.size === seen.add(name).size))];
}

function domainProblems({ opsetImport, graph }: Onnx.ModelProto): string[] {
  const problems: string[] = [];
  const imports = opsetImport.map(({ domain, version }) => `${domain ?? ''} ${Number(version ?? 0)}`);
  if (imports.length !== 1 || imports[0] !== ` ${OPSET}`)
    problems.push(`opset ${OPSET} of ai.onnx and no other domain is wanted: found ${imports.join(', ')}`);
  for (const { opType, domain, name } of graph?.node ?? []) {
    if ((domain ?? '') !== '') problems.push(`node "${name ?? ''}" is of domain "${domain!}"`);
    if (UNWANTED.has(opType ?? '')) problems.push(`node "${name ?? ''}" is a ${opType!}`);
  }
  return problems;
}

function nameProblems({ graph }: Onnx.ModelProto): string[] {
  const nodes = graph?.node ?? [];
  const made = [
    ...(graph?.input ?? []).map(({ name }) => name ?? ''),
    ...(graph?.initializer ?? []).map(({ name }) => name ?? ''),
    ...nodes.flatMap(({ output }) => output ?? []),
  ];
  const used = new Set([
    ...nodes.flatMap(({ input }) => input ?? []),
    ...(graph?.output ?? []).map(({ name }) => name ?? ''),
  ]);
  return [
    ...repeated(nodes.map(({ name }) => name ?? '')).map((name) => `two nodes are called "${name}"`),
    ...repeated(made).map((name) => `two tensors are called "${name}"`),
    ...[...new Set(made)].filter((name) => !used.has(name)).map((name) => `nothing uses tensor "${name}"`),
  ];
}

/** Shapes are numbers, but for a first dimension that may be open by the name `batch`. */
function shapeProblems({ graph }: Onnx.ModelProto): string[] {
  const problems: string[] = [];
  const [inputs, outputs] = [graph?.input ?? [], graph?.output ?? []];
  if (inputs.length !== 1 || inputs[0]!.name !== 'input')
    problems.push(`one input "input" is wanted: found ${inputs.map(({ name }) => `"${name!}"`).join(', ')}`);
  if (outputs.length !== 1 || outputs[0]!.name !== 'logits')
    problems.push(
      `one output "logits" is wanted: found ${outputs.map(({ name }) => `"${name!}"`).join(', ')}`,
    );
  for (const { name, type } of [...inputs, ...outputs]) {
    const dims = type?.tensorType?.shape?.dim ?? [];
    const isStatic = dims.every(
      ({ dimValue, dimParam }, axis) => Number(dimValue ?? 0) > 0 || (axis === 0 && dimParam === 'batch'),
    );
    if (dims.length === 0 || !isStatic) problems.push(`the shape of "${name ?? ''}" is not static`);
  }
  return problems;
}

function metadataProblems(model: Onnx.ModelProto, where: string): string[] {
  const properties = propertiesOf(model);
  const missing = REQUIRED.filter((key) => !properties.has(key)).map((key) => `property "${key}" is missing`);
  try {
    decodeMetadata(properties, where);
    return missing;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [...missing, error.message];
  }
}

/** What is wrong with a file, one line each; [] where nothing is. Throws UserError for what is no ONNX file. */
export function structureProblems(bytes: Uint8Array, where = 'the model'): string[] {
  const model = decodeModel(bytes, where);
  return [domainProblems, nameProblems, shapeProblems, metadataProblems].flatMap((check) =>
    check(model, where),
  );
}
