import type { Register } from '../context.js';
import { addBenchPredictors } from './benchPredictors.js';
import { addBenchSearch } from './benchSearch.js';

export const bench: Register = (program, context) => {
  const command = program
    .command('bench')
    .description('predictors and strategies on benchmarks whose answers are known');
  addBenchPredictors(command, context);
  addBenchSearch(command, context);
};
