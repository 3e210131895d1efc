import {
  costQuantities,
  createConsoleLogger,
  findTable,
  latencyFunction,
  latencyQuantity,
  loadSpace,
  openLatencyTable,
  searchObjectives,
} from '../../src/index.js';

const logger = await createConsoleLogger();
const space = await loadSpace('ofa-mbv3', { width: 1.2 });
const query = await openLatencyTable(await findTable('note10', space));
const { macs } = costQuantities(space);
const { best } = await searchObjectives({
  space,
  within: { imageSize: [192, 224] },
  objectives: [{ ...macs, direction: 'maximize' }],
  constraints: [{ quantity: latencyQuantity(latencyFunction(query)), limit: 30 }],
  budget: 2000,
  logger,
});
logger.info(`${best.values[0]} MACs in ${query.architecture(best.architecture).latencyMs} ms`);
