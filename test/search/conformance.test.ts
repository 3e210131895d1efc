/** What every strategy must do; a new one joins through the list in strategies/index.ts. */
import { afterAll } from 'vitest';
import { createOnnxRuntimeEngine } from '../../src/engine/onnxruntime/engine.js';
import { strategies } from '../../src/search/strategies/index.js';
import { strategyConformance } from '../support/strategyConformance.js';

const engine = await createOnnxRuntimeEngine({ threads: 1 });
afterAll(() => engine.dispose());

for (const definition of strategies.values()) strategyConformance(definition, engine);
