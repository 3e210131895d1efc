/**
 * ofakit: once-for-all supernets for Node.js. Train one supernet, measure devices, specialise for each, export ONNX.
 * Everything a command does is here as a function; the README has the flow.
 */

// Search spaces and architectures
export { loadSpace, listSpaces } from './space/presets.js';
export {
  createSpace,
  spaceOfOne,
  type SearchSpace,
  type SpaceFile,
  type SpaceOverrides,
} from './space/space.js';
export { describeSpace, type SpaceDescription } from './space/describe.js';
export { fromFile, toFile, type Architecture, type ArchitectureFile } from './space/architecture.js';
export { parseArchitecture, readArchitecture } from './space/file.js';
export { openArchitecture } from './export/openArchitecture.js';
export { networkFromConfig, readStaticNetwork } from './space/staticNetwork.js';
export { networkCosts, type BlockCosts, type Costs, type NetworkCosts } from './space/costs.js';
export {
  sampleArchitecture,
  mutateArchitecture,
  crossArchitectures,
  type MutationRates,
} from './space/sampling.js';
export { enumerateArchitectures, countNetworks, neighbours } from './space/enumerate.js';
export { architectureKey, canonical } from './space/canonical.js';
export { limitGenes, type GeneLimit, type GeneLimits } from './space/limits.js';
export type { Gene } from './space/gene.js';
export type { Genome, Genotype } from './space/genotype.js';
export type { BlockSpec, LayerSpec, Network } from './space/network.js';

// Data
export { openDataset, parseDatasetSpec, datasets } from './data/index.js';
export { createLoader, type Loader, type LoaderOptions } from './data/loader.js';
export type {
  Dataset,
  DatasetDefinition,
  DatasetOptions,
  DatasetSource,
  Normalisation,
  OnCorrupt,
  Split,
} from './data/dataset.js';

// Supernets and training
export { createRuntime, type Runtime, type RuntimeOptions } from './pipeline/runtime.js';
export { ENGINE_NAMES, PROVIDERS, type EngineName, type Provider } from './pipeline/engineName.js';
export {
  estimateTrain,
  train,
  type TrainRequest,
  type TrainSettings,
  type TrainedSupernet,
} from './pipeline/train.js';
export type { TrainEstimate } from './pipeline/trainEstimate.js';
export type { PhaseEstimate, TrainingEstimate } from './training/estimate.js';
export { compareRuns, listRuns, removeRun, type RemovedRun, type RunComparison } from './pipeline/runs.js';
export { describeRun, type RunSummary } from './pipeline/runSummary.js';
export { finetune, type FinetuneRequest, type FinetunedNetwork } from './pipeline/finetune.js';
export {
  importSupernet,
  type ImportRequest as SupernetImportRequest,
  type ImportedSupernet,
} from './pipeline/import.js';
export {
  openRun,
  openLoader,
  createEvaluator,
  type LoaderSettings,
  type SupernetRun,
} from './pipeline/run.js';
export {
  openRunData,
  openRunDataset,
  openRunLoader,
  runRecord,
  type RunDataOptions,
  type RunDataset,
} from './pipeline/runData.js';
export { withRun, type OpenedRun, type RunOptions } from './pipeline/withRun.js';
export { loadSchedule, scheduleSchema, type Schedule, type ScheduleFile } from './training/schedule.js';
export { trainSupernet, type TrainingOptions, type TrainingResult } from './training/trainer.js';
export {
  SubnetEvaluator,
  type EvaluateOptions,
  type EvaluationSettings,
  type EvaluatorOptions,
} from './training/evaluator.js';
export type { Score } from './training/score.js';
export type { TrainingProfile } from './training/profile.js';

// Devices and latency
export { loadDevice, deviceNames, type DeviceProfile } from './device/profile.js';
export { protocolByName, type Protocol } from './device/protocol.js';
export { connectDevice } from './device/transports.js';
export type { DeviceConnection } from './device/transport.js';
export type { DeviceFingerprint } from './device/fingerprint.js';
export { measureModels, type MeasureOptions, type ModelToMeasure } from './device/measure.js';
export { addDevice, type AddDeviceRequest, type AddedDevice } from './device/add.js';
export { serveAgent, type ServeOptions } from './device/agent/serve.js';
export { createLocalExecutor } from './device/localProcess.js';
export type { LatencyMeasurement } from './device/measurement.js';
export { providers, type ProviderDefinition } from './device/providers.js';
export { serveBrowserAgent, type ServeBrowserOptions } from './device/browser/serve.js';
export { measure, knownDevices, type MeasureRequest } from './pipeline/measure.js';
export { findTable, ownTablePath } from './pipeline/tables.js';
export {
  latencyFunction,
  openLatencyTable,
  LatencyQuery,
  type LatencyAnswer,
  type LatencyFunction,
} from './latency/query.js';
export { validateTable, type LatencyValidation } from './latency/validate.js';
export type { PassesAgreement } from './latency/passes.js';
export {
  readTable,
  tableEntry,
  writeTable,
  type LatencyTable,
  type MeasuredSubnet,
  type MeasuredTable,
  type QueriedTable,
} from './latency/table.js';
export type { BlockEntry } from './latency/blockContext.js';
export type { ImportedAnswer, ImportedTable } from './latency/imported.js';
export { fillTable, type FillRequest, type FillResult } from './latency/fill.js';
export { evaluateLatency, type LatencyErrors } from './latency/evaluate.js';
export { latencyPredictors, chooseLatencyPredictor } from './latency/predictors.js';
export { predictorContext, type PredictorContext } from './latency/context.js';
export { fitPredictor } from './latency/crossValidation.js';
export type {
  LatencyExample,
  LatencyModel,
  LatencyPrediction,
  LatencyPredictor,
  PredictorDefinition as LatencyPredictorDefinition,
} from './latency/predictor.js';
export { distilSource } from './latency/transferPredictor.js';
export type { TransferSource } from './latency/transferSource.js';
export { latencyImportByName, latencyImports } from './latency/import/index.js';
export type { ImportRequest, ImportResult, LatencyImport } from './latency/import/format.js';

// Accuracy predictors
export {
  sampleRunAccuracies,
  fitAccuracy,
  openAccuracyPredictor,
  type FitRequest,
  type FittedAccuracy,
  type SampleRequest,
} from './pipeline/accuracy.js';
export {
  accuracyFunction,
  type AccuracyPrediction,
  type AccuracyPredictor,
  type AccuracySample,
  type FitContext,
  type PredictorDefinition,
  type VectorEncoder,
} from './accuracy/predictor.js';
export { definePredictor, type FitData, type Model, type ModelSpec } from './accuracy/definePredictor.js';
export { accuracyPredictorByName, accuracyPredictors } from './accuracy/predictors/index.js';
export { createEncoder, encodings, oneHotEncoder } from './accuracy/encoding.js';
export { withExtras, type Extra, type KnownArchitecture } from './accuracy/extraColumns.js';
export {
  choosePredictor,
  crossValidate,
  fitAndEvaluate,
  predictOutOfFold,
  type PredictorScore,
} from './accuracy/evaluate.js';
export { fractionStandardError, kendallTauStandardError } from './util/standardError.js';
export { readAccuracies, type AccuracyRecord } from './accuracy/dataset.js';
export { fitArchitectureEmbedding, type ArchitectureEmbedding } from './accuracy/predictors/nao.js';

export { zeroCostProxies, zeroCostProxyByName } from './accuracy/proxies/index.js';
export type { ProxyDefinition, ProxyInput } from './accuracy/proxies/proxy.js';
export { createProxyScorer, scoreAccuracyData, type ProxyReport } from './pipeline/proxies.js';

// Tables of networks, for strategies and predictors to be judged on
export { joinBenchmarks, type TabularBenchmark, type TabularEntry } from './accuracy/benchmarks/tabular.js';
export { readMacroTable } from './accuracy/benchmarks/macroTable.js';
export { nasBench201Text, parseNasBench201, readNasBench201 } from './accuracy/benchmarks/nasBench201.js';
export { readHwNasBench } from './accuracy/benchmarks/hwNasBench.js';
export { readOwnBenchmark } from './accuracy/benchmarks/ownData.js';
export { tabularLimit, tabularQuantity } from './search/tabular.js';

// Search
export {
  search,
  type SearchConstraints,
  type SearchOptions,
  type SearchResult,
  type SearchSolution,
} from './search/search.js';
export {
  limitsOn,
  searchObjectives,
  type ObjectiveSearchOptions,
  type ObjectiveSearchResult,
} from './search/search.js';
export {
  accuracyQuantity,
  costQuantities,
  latencyQuantity,
  rememberByKey,
  type Constraint,
  type Quantity,
} from './search/quantity.js';
export type { BatchFunction, GenotypeFunction } from './search/batch.js';
export type { Coverage, CoverageFunction } from './space/coverage.js';
export type { RunResult as StrategyRunResult } from './search/run.js';
export { nonDominated, hypervolume, type Gains } from './search/pareto.js';
export { kneeOf, PICK_RULES, type PickRule } from './search/pick.js';
export type { FrontFile } from './search/front.js';
export {
  frontFile,
  searchRun,
  type FoundSubnet,
  type SearchLimit,
  type SearchRunRequest,
  type SearchRunResult,
} from './pipeline/search.js';
export type { OwnObjective } from './pipeline/ownObjective.js';
export type { SearchDevice } from './pipeline/searchQuantities.js';
export { writeFront, type FrontFiles } from './pipeline/writeFront.js';
export { predictedAccuracy } from './pipeline/predictedAccuracy.js';
export { searchPaths, type PathSearchOptions, type PathSearchResult } from './search/paths.js';
export { searchSupernetPaths, type PathsFound, type SearchPathsRequest } from './pipeline/searchPaths.js';

// Strategies: one's own, and what they are worth
export {
  createCandidate,
  Fresh,
  gainsOf,
  scoreOf,
  type Candidate,
  type Strategy,
  type StrategyContext,
  type StrategyDefinition,
  type Trial,
} from './search/strategy.js';
export { strategies, strategyByName } from './search/strategies/index.js';
export {
  runOnTask,
  summariseRuns,
  tabularTask,
  type SearchTask,
  type StrategyFigures,
  type StrategyRun,
} from './search/benchmark.js';
export { benchSearch, type BenchSearchReport, type BenchSearchRequest } from './pipeline/benchSearch.js';

// Export
export { specialize, type SpecializeRequest, type SpecializeTarget } from './pipeline/specialize.js';
export type { Specialization, SpecializedModel } from './pipeline/specialization.js';
export {
  exportSubnet,
  subnetModel,
  type ExportRequest,
  type ExportResult,
  type Subnet,
} from './export/exportSubnet.js';
export { calibrate, type CalibrationImages } from './export/int8/calibrate.js';
export { quantizeModel, tensorsToCalibrate, type QuantizeOptions } from './export/int8/quantizeModel.js';
export { chooseRange, RANGE_METHODS, type RangeMethod } from './export/int8/ranges.js';
export type { ModelMetadata, ReadMetadata } from './export/metadata.js';
export { verifyModel, type Verification, type VerifyOptions } from './export/verify.js';
export { quickstart, type QuickstartRequest } from './pipeline/quickstart.js';
export {
  QUICKSTART,
  type QuickstartSettings,
  type QuickstartSummary,
} from './pipeline/quickstartSettings.js';

// The compiler, for those who add operations, predictors or proxies of their own
export { GraphBuilder, type Graph, type Operation, type Value } from './graph/graph.js';
export { differentiate } from './graph/differentiate.js';
export { evaluate } from './graph/evaluate.js';
export { createOnnxRuntimeEngine } from './engine/onnxruntime/engine.js';
export { createTfjsEngine } from './engine/tfjs/engine.js';
export type { TfjsOptions } from './engine/tfjs/options.js';
export type { Engine, Program } from './engine/engine.js';
export { onnxTarget } from './lowering/onnx.js';
export { readOnnx } from './lowering/readOnnx.js';

// Ground
export { createRandom, type Random } from './util/random.js';
export { tensor, type Shape, type Tensor } from './util/tensor.js';
export { createConsoleLogger } from './cli/console.js';
export { silentLogger, type Logger, type Progress } from './util/logger.js';
export { InfeasibleError, InterruptedError, UsageError, UserError } from './util/errors.js';
