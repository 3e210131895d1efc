/**
 * Imports point one way (docs/architecture.md): a folder may import from folders of lower layers, and from
 * its own; never upward. `util` is the ground floor.
 */
const LAYERS = [
  ['util'],
  ['space'],
  ['graph'],
  ['lowering'],
  ['engine'],
  ['supernet', 'data'],
  ['device'],
  ['training'],
  ['accuracy', 'latency'],
  ['search', 'export'],
  ['report'],
  ['pipeline'],
  ['cli'],
];

const upward = LAYERS.flatMap((layer, level) => {
  const above = LAYERS.slice(level + 1).flat();
  if (above.length === 0) return [];
  return [
    {
      name: `no-upward-from-${layer.join('-')}`,
      severity: 'error',
      from: { path: `^src/(${layer.join('|')})/` },
      to: { path: `^src/(${above.join('|')})/` },
    },
  ];
});

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'index-is-for-users',
      severity: 'error',
      from: { path: '^src/[^/]+/' },
      to: { path: '^src/index.ts$' },
    },
    ...upward,
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
};
