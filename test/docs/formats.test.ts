/** docs/formats.md against the schemas: no key undocumented, none invented, and the examples are valid. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { nasBench201Schema } from '../../src/accuracy/benchmarks/nasBench201.js';
import { accuracyLineSchema } from '../../src/accuracy/dataset.js';
import { fingerprintSchema } from '../../src/device/fingerprint.js';
import { measurementSchema } from '../../src/device/measurement.js';
import { deviceProfileSchema } from '../../src/device/profile.js';
import { protocolSchema } from '../../src/device/protocol.js';
import { remoteTransportSchema } from '../../src/device/remote/remote.js';
import { tokenOriginsSchema } from '../../src/device/tokenOrigins.js';
import { decodeMetadata, METADATA_KEYS } from '../../src/export/metadata.js';
import { importedTableSchema } from '../../src/latency/imported.js';
import { measuredTableSchema } from '../../src/latency/table.js';
import { parseDatasetSpec } from '../../src/data/index.js';
import { dataRecordSchema } from '../../src/data/record.js';
import { searchBenchmarkSchema } from '../../src/pipeline/benchSearch.js';
import { finalistLineSchema } from '../../src/pipeline/finalistJournal.js';
import { specializationSchema } from '../../src/pipeline/specialization.js';
import { specializedLineSchema } from '../../src/pipeline/specializations.js';
import { reportFileSchema } from '../../src/report/data.js';
import { frontFileSchema } from '../../src/search/front.js';
import { searchJournalSchema } from '../../src/search/journal.js';
import { pathJournalSchema } from '../../src/search/paths.js';
import { architectureFileSchema } from '../../src/space/architecture.js';
import { families } from '../../src/space/families/index.js';
import { spaceFileSchema } from '../../src/space/space.js';
import { checkpointSchema } from '../../src/supernet/checkpoint.js';
import { metricSchema } from '../../src/training/metrics.js';
import { importedPositionSchema, positionSchema } from '../../src/training/position.js';
import { scheduleSchema } from '../../src/training/schedule.js';
import { elapsedSchema } from '../../src/util/elapsed.js';
import { lockSchema } from '../../src/util/lock.js';
import { packagePath } from '../../src/util/scripts.js';

/** Text below each heading, up to the next one. */
const sections = new Map(
  readFileSync(packagePath('docs/formats.md'), 'utf8')
    .split(/^#{1,3} /m)
    .slice(1)
    .map((text) => [text.slice(0, text.indexOf('\n')).replaceAll('`', ''), text] as const),
);

const section = (heading: string): string => {
  const text = sections.get(heading);
  if (text === undefined) throw new RangeError(`docs/formats.md has no section "${heading}"`);
  return text;
};

/** First column of the section's tables of keys. */
function documentedKeys(heading: string): string[] {
  return [...section(heading).matchAll(/^\| (`[^|]+`) +\|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map(([, key]) => key!),
  );
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** Paths of a schema's leaves. What stands in `elsewhere` has a section of its own. */
function leaves(schema: JsonSchema, elsewhere: ReadonlySet<string>, path = ''): string[] {
  if (elsewhere.has(path)) return [path];
  const { properties, items, additionalProperties, anyOf, oneOf } = schema;
  if (properties !== undefined) {
    return Object.entries(properties).flatMap(([key, inner]) =>
      leaves(inner, elsewhere, path === '' ? key : `${path}.${key}`),
    );
  }
  const parts = (anyOf ?? oneOf ?? []).filter((part) => part.properties !== undefined);
  if (parts.length > 0) return [...new Set(parts.flatMap((part) => leaves(part, elsewhere, path)))];
  if (items !== undefined) {
    const inner = leaves(items, elsewhere, `${path}[]`);
    return inner.length === 1 && inner[0] === `${path}[]` && !elsewhere.has(inner[0]) ? [path] : inner;
  }
  if (typeof additionalProperties === 'object') return leaves(additionalProperties, elsewhere, `${path}.*`);
  return [path];
}

// As text and back: a schema as JSON holds it.
const schemaOf = (schema: z.ZodType): JsonSchema =>
  JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))) as JsonSchema;

/** Heading, schema, and which of its keys have a section of their own. */
const table: readonly (readonly [string, z.ZodType, (readonly string[])?])[] = [
  ['Architecture', architectureFileSchema],
  ['Search space', spaceFileSchema, ['only']],
  ...[...families.values()].map(({ name, schema }) => [`Family ${name}`, schema] as const),
  ['Schedule', scheduleSchema],
  ['Device profile', deviceProfileSchema],
  ['Transport remote', remoteTransportSchema],
  ['Token', tokenOriginsSchema],
  ['Measurement', measurementSchema],
  [
    'Latency table',
    measuredTableSchema,
    ['device.fingerprint', 'protocol', 'space', 'contexts.*', 'entries.*', 'wholeSubnets[].architecture'],
  ],
  ['Imported latency table', importedTableSchema, ['space']],
  ['Device fingerprint', fingerprintSchema],
  ['Measuring protocol', protocolSchema],
  ['Checkpoint', checkpointSchema, ['space', 'data', 'position']],
  ['Data of a run', dataRecordSchema],
  ['Training position', positionSchema, ['schedule']],
  ['Imported supernet', importedPositionSchema],
  ['Metrics', metricSchema, ['architecture']],
  ['Accuracy data set', accuracyLineSchema, ['architecture']],
  ['Front', frontFileSchema, ['points[].architecture']],
  ['Search journal', searchJournalSchema, ['architecture']],
  ['Path search journal', pathJournalSchema],
  ['Search benchmark', searchBenchmarkSchema],
  ['NAS-Bench-201 table', nasBench201Schema],
  ['Elapsed time', elapsedSchema],
  ['Lock', lockSchema],
  ['Finalists', finalistLineSchema, ['architecture', 'measurement']],
  ['Specialisation', specializationSchema, ['models[].architecture', 'models[].finalists[].architecture']],
  ['Folders of models', specializedLineSchema],
  [
    'Report data',
    reportFileSchema,
    [
      'subnets[].architecture',
      'front[].architecture',
      'models[].architecture',
      'models[].finalists[].architecture',
    ],
  ],
];
const cases = table.map(([heading, schema, elsewhere = []]) => ({ heading, schema, elsewhere }));

describe('docs/formats.md', () => {
  it.each(cases)('$heading: the keys are those of the schema', ({ heading, schema, elsewhere }) => {
    const wanted = new Set(
      leaves(schemaOf(schema), new Set(elsewhere))
        // Keys of a schedule's choices are listed in one row.
        .map((path) => path.replace(/\.choices\.\w+$/, '.choices.*'))
        // A whole subnet has the keys of a measurement beside its own.
        .map((path) =>
          heading === 'Latency table' &&
          Object.hasOwn(measurementSchema.shape, path.replace('wholeSubnets[].', ''))
            ? 'wholeSubnets[]'
            : path,
        ),
    );
    const containers = new Set(
      [...wanted].flatMap((path) => [...path.matchAll(/\.|\[\]/g)].map(({ index }) => path.slice(0, index))),
    );
    const documented = documentedKeys(heading);
    expect(documented.filter((key, i) => documented.indexOf(key) !== i)).toEqual([]);
    expect([...wanted].filter((key) => !documented.includes(key))).toEqual([]);
    // `optimizer-HASH.safetensors` and the like name files, not keys.
    const invented = documented.filter((key) => !wanted.has(key) && !containers.has(key));
    expect(invented.filter((key) => !key.endsWith('.safetensors'))).toEqual([]);
  });

  it('Data source: the keys are those of a source', () => {
    const options = { channels: 1, validationFraction: 0.1 } as const;
    const source = { ...parseDatasetSpec(packagePath('docs'), options), path: '' };
    expect(documentedKeys('Data source').sort()).toEqual(Object.keys(source).sort());
  });

  it('Exported model: the properties are those that are written', () => {
    expect(documentedKeys('Exported model').sort()).toEqual(Object.values(METADATA_KEYS).sort());
    const example = { mean: [0.1307], std: [0.3081] };
    const properties = new Map([[METADATA_KEYS.normalisation, JSON.stringify(example)]]);
    expect(decodeMetadata(properties)).toEqual({ normalisation: example });
  });

  const examples = cases.flatMap(({ heading, schema }) =>
    [...section(heading).matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(
      ([, text]) => [heading, text!, schema] as const,
    ),
  );

  it.each(examples)('%s: the example is valid', (_, text, schema) => {
    schema.parse(JSON.parse(text));
  });

  it('has examples', () => {
    expect(new Set(examples.map(([heading]) => heading)).size).toBeGreaterThanOrEqual(5);
  });
});
