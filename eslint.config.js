import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Folders in which results are computed: chance must be seeded and no clock may leak in. */
const COMPUTES = [
  'space',
  'graph',
  'lowering',
  'engine',
  'supernet',
  'training',
  'data',
  'latency',
  'accuracy',
  'search',
  'export',
];

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'coverage'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', '*.cjs', 'bin/*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/prefer-literal-enum-member': 'off',
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/unified-signatures': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
        {
          selector: "MemberExpression[object.name='Math'][property.name='random']",
          message: 'Pass a seeded generator.',
        },
      ],
      'no-console': 'error',
    },
  },
  {
    files: COMPUTES.map((folder) => `src/${folder}/**/*.ts`),
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Pass a seeded generator.' },
        { object: 'Date', property: 'now', message: 'Results must not depend on the clock.' },
      ],
    },
  },
  { files: ['**/*.js', '**/*.cjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['*.config.ts', '*.config.js', '**/*.cjs'],
    rules: {
      'no-restricted-syntax': 'off',
      'no-undef': 'off',
      '@typescript-eslint/no-require-imports': 'off',
    },
  },
  { files: ['scripts/**', 'src/cli/**', 'bin/**'], rules: { 'no-console': 'off', 'no-undef': 'off' } },
);
