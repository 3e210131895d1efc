import {
  costQuantities,
  createConsoleLogger,
  findTable,
  latencyFunction,
  latencyQuantity,
  openLatencyTable,
  searchObjectives,
} from '../../src/index.js';

const logger = await createConsoleLogger();
const query = await openLatencyTable(findTable('note10', 'ofa-mbv3'));
const { macs } = costQuantities(query.space);
const { best } = await searchObjectives({
  space: query.space,
  within: { imageSize: [192, 224] },
  objectives: [{ ...macs, direction: 'maximize' }],
  constraints: [{ quantity: latencyQuantity(latencyFunction(query)), limit: 30 }],
  budget: 2000,
  logger,
});
logger.info(`${best.values[0]} MACs in ${query.architecture(best.architecture).latencyMs} ms`);
