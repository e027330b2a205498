/**
 * Trains LLaMA-family language models on any GPU, through WebGPU.
 *
 * @example Pre-train
 * ```ts
 * import { Gpu, Trainer } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const trainer = await Trainer.pretrain(gpu, {
 *   model: "llama_nano",
 *   data: "examples/data/tinyshakespeare.txt",
 *   output: "runs/nano",
 *   steps: 200,
 * });
 * for await (const event of trainer.run()) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 * }
 * ```
 *
 * @example Fine-tune on data of the program, and chat with the result
 * ```ts
 * import { chat, Gpu, LlamaForCausalLM, loadTokenizer, Trainer } from "@deno-galore/trainer";
 *
 * using gpu = await Gpu.open();
 * const trainer = await Trainer.finetune(gpu, {
 *   model: "hf:HuggingFaceTB/SmolLM2-135M-Instruct",
 *   data: [
 *     { prompt: "Name three planets.", completion: "Mars, Venus and Saturn." },
 *     { prompt: "Name two rivers.", completion: "The Nile and the Rhine." },
 *   ], // or a path, an iterator over the rows of a database, what fetch returns, …
 *   output: "runs/alpaca",
 * });
 * for await (const event of trainer.run()) console.log(event);
 *
 * const model = await LlamaForCausalLM.fromPretrained("runs/alpaca/model", { gpu });
 * const tokenizer = await loadTokenizer("runs/alpaca/model");
 * const question = { role: "user", content: "Name three planets." };
 * for await (const piece of chat(model, tokenizer, [question])) console.log(piece);
 * ```
 *
 * Tensors, kernels and the model's passes, for programs that extend the library, are in
 * `@deno-galore/trainer/kernels`; the HTTP server is in `@deno-galore/trainer/server`.
 *
 * @module
 */

// The GPU.
export { type AdapterDescription, findAdapter } from "./src/gpu/adapter.ts";
export {
  type Capabilities,
  CONSUMER_CARD,
  type Feature,
  type Limits,
} from "./src/gpu/capabilities.ts";
export { Gpu } from "./src/gpu/gpu.ts";
export type { Purpose } from "./src/gpu/tensor.ts";

// Training: options, the run, its events.
export type {
  Given,
  NoSuchOption,
  Only,
  OptionFields,
  Options,
  ReadonlyList,
} from "./src/options/schema.ts";
export { type MemoryInput, type MemoryOptions, memoryOptions } from "./src/train/memory_options.ts";
export { type PretrainInput, type PretrainOptions, pretrainOptions } from "./src/train/options.ts";
export {
  type FinetuneInput,
  type FinetuneOptions,
  finetuneOptions,
} from "./src/train/finetune_options.ts";
export { readConfigFile } from "./src/config/config_file.ts";
export { type Preparing, type Running, Trainer } from "./src/train/trainer.ts";
export { openRanks } from "./src/parallel/open_ranks.ts";
export type { WhileWaiting } from "./src/parallel/meeting.ts";
export type { Ranks, WireFormat } from "./src/parallel/ranks.ts";
export type { Timings } from "./src/train/timings.ts";
export type * from "./src/train/events.ts";
export {
  type RunOfCheckpoint,
  saveCheckpointModel,
  type SavedRun,
} from "./src/train/checkpoint_model.ts";
export type { SaveProgress } from "./src/export/checkpoint_model.ts";

// Recipes and objectives: what a run is made of.
export type {
  EncodedPrompt,
  Recipe,
  RunOptions,
  RunResults,
  TrainingData,
} from "./src/train/recipe.ts";
export { pretrainRecipe } from "./src/train/pretrain_recipe.ts";
export { type Base, type BaseOptions, openBase } from "./src/train/base_model.ts";
export type { Stretch, StretchOptions } from "./src/train/stretch_rope.ts";
export { finetuneRecipe } from "./src/train/finetune_recipe.ts";
export type { Continued } from "./src/train/continued_adapter.ts";
export type { TrainedModel, TrainingShape } from "./src/train/build.ts";
export { optimizerRates, resolveConfig, trainingShape } from "./src/train/method.ts";
export type { OptimizerRates } from "./src/optim/rates.ts";
export {
  crossEntropyObjective,
  type LossOutputs,
  type Objective,
  type SubmitLoss,
  weightedCrossEntropy,
} from "./src/train/objective.ts";

// Methods, and the memory that they need.
export {
  type ApolloDefaults,
  type DefaultRates,
  type LlamaFactoryKeys,
  type Method,
  type MethodName,
  METHODS,
} from "./src/train/methods.ts";
export type {
  GradientBlocks,
  OptimizerShape,
  ProjectionShape,
  RulesByKind,
} from "./src/optim/optimizer_shape.ts";
export type { RuleName } from "./src/optim/rules/rules.ts";
export type { Shares } from "./src/optim/shares.ts";
export type { EmbeddingOptimizer } from "./src/train/method_fields.ts";
export { fullAdamWShape, type MemoryPlan, planMemory } from "./src/train/plan.ts";
export { type Fit, planFit } from "./src/train/fit.ts";
export {
  type BesidePaper,
  type MethodMemory,
  methodMemory,
  PAPER_BATCH,
} from "./src/train/method_memory.ts";
export {
  type MeasuredFigures,
  type Paper,
  PAPER_ESTIMATES,
  PAPER_MEASURED,
  PAPER_MODELS,
  PAPER_RANKS,
  type PaperFigures,
  type PaperName,
  PAPERS,
} from "./src/train/paper_figures.ts";
export {
  type TriedMemory,
  type TriedSeconds,
  type Trying,
  tryMemory,
} from "./src/train/try_memory.ts";
export {
  type MeasuredRun,
  type MeasureOptions,
  type MeasureProgress,
  measureTraining,
  type TrainingSpeed,
} from "./src/train/training_speed.ts";
export { NotFiniteError } from "./src/train/divergence.ts";
export { type Saving, SAVINGS } from "./src/train/savings.ts";
export { type Alternative, DoesNotFitError } from "./src/train/does_not_fit.ts";

// Reports of runs, comparisons of methods, and charts.
export { writeReport, type WrittenReport } from "./src/report/report.ts";
export { reportedRun, type ReportedRunning } from "./src/report/reported_run.ts";
export { compare } from "./src/compare/compare.ts";
export type { ComparedRun, CompareEvent, Comparing } from "./src/compare/events.ts";
export { type ComparedMethod, comparedMethods } from "./src/compare/methods.ts";
export {
  type ComparedKind,
  compareFinetuneOptions,
  type CompareInput,
  type CompareOptions,
  comparePretrainOptions,
  type OwnOptions,
} from "./src/compare/options.ts";
export type {
  CompareRecord,
  MadeWith,
  MethodRecord,
  RunPurpose,
  RunRecord,
  RunStatus,
  SpeedRecord,
  Spread,
} from "./src/compare/record.ts";
export { resultTable, sweepText, type TextTable, trainedText } from "./src/compare/table.ts";
export type {
  Axis,
  BarChart,
  Chart,
  HeatCell,
  HeatMap,
  Line,
  LineChart,
  LinePoint,
  PointChart,
} from "./src/plot/chart.ts";
export { drawChart, type Drawing } from "./src/plot/draw.ts";

// Data.
export type {
  Data,
  DataBytes,
  DataItem,
  DataItems,
  DataSource,
  DataSpec,
  DataTable,
  MemorySource,
} from "./src/data/data.ts";
export type { CorpusPlace } from "./src/data/sources.ts";
export type { Place } from "./src/data/documents.ts";
export type { Packing, ReadSoFar, SequencePlace } from "./src/data/sequences.ts";
export type { FileMark } from "./src/data/file_marks.ts";
export type { ShufflePlace } from "./src/data/shuffle.ts";
export { type Batch, IGNORED } from "./src/model/batch.ts";
export {
  type BatchSource,
  BatchStream,
  type DataOptions,
  type DataPosition,
  type StreamOptions,
} from "./src/data/batches.ts";
export {
  type InstructOptions,
  type InstructPosition,
  InstructStream,
} from "./src/data/instruct/stream.ts";
export type { InstructPlace, Stage } from "./src/data/instruct/epochs.ts";
export type { ExampleData, ExampleSource } from "./src/data/instruct/sources.ts";
export {
  type Columns,
  type FormatName,
  FORMATS,
  type RecordFormat,
  type Tags,
} from "./src/data/instruct/record_format.ts";
export type { ExampleStore, StoredExample } from "./src/data/instruct/store.ts";
export { type InstructReport, type SkipReason, UnusableError } from "./src/data/instruct/report.ts";
export type { Effect, Finding, FindingKind } from "./src/data/instruct/findings.ts";
export { preview, type PreviewOptions } from "./src/data/instruct/preview.ts";
export { openExamples } from "./src/train/finetune_data.ts";

// Tokenizers and chat templates.
export { loadTokenizer } from "./src/tokenizers/load_tokenizer.ts";
export {
  type DecodeOptions,
  type EncodeOptions,
  type Encoding,
  type SpecialTokens,
  TextStream,
  type Tokenizer,
} from "./src/tokenizers/tokenizer.ts";
export { UnknownTokens } from "./src/tokenizers/unknown_tokens.ts";
export { type TrainedTokenizer, trainTokenizer } from "./src/data/train_tokenizer.ts";
export {
  type TokenizerInput,
  type TokenizerOptions,
  tokenizerOptions,
} from "./src/data/tokenizer_options.ts";
export type { TokenizerProgress, TrainingControl, Vocabulary } from "./src/tokenizers/train_bpe.ts";
export type {
  ChatTemplate,
  Rendered,
  RenderOptions,
  Span,
  TemplateOptions,
} from "./src/data/instruct/chat_template.ts";
export type { Message } from "./src/data/instruct/example.ts";
export { chatTemplate, TEMPLATE_NAMES } from "./src/data/instruct/templates.ts";

// Models: configuration, inference.
export {
  type LlamaConfig,
  MODEL_TYPES,
  type ModelType,
  type PresetName,
  PRESETS,
  type SlidingWindow,
  type Traits,
} from "./src/model/config.ts";
export type {
  DynamicScaling,
  LinearScaling,
  Llama3Scaling,
  LongRopeScaling,
  RopeScaling,
  YarnScaling,
} from "./src/model/rope_scaling.ts";
export { type DecoderShape, parameterCount } from "./src/model/description.ts";
export {
  type FromPretrainedOptions,
  LlamaForCausalLM,
  type LossAndGradients,
} from "./src/inference/llama_for_causal_lm.ts";
export type { LossAndGradientsOptions } from "./src/inference/loss_and_gradients.ts";
export type { RunnableModel } from "./src/inference/runnable_model.ts";
export {
  type Answer,
  chat,
  type ChatModel,
  type ChatOptions,
  Conversation,
} from "./src/inference/chat.ts";
export { complete, type CompleteOptions } from "./src/inference/complete.ts";
export type { GenerateOptions } from "./src/inference/generate.ts";
export type { ContinueOptions } from "./src/inference/cached_sequence.ts";
export type { LogitBiases } from "./src/inference/logit_biases.ts";
export type { SamplingOptions } from "./src/inference/sampling.ts";

// Evaluation.
export type { Evaluation, EvaluationOptions } from "./src/inference/perplexity.ts";
export type {
  LogLikelihood,
  LogLikelihoodOptions,
  LogLikelihoodRequest,
} from "./src/inference/log_likelihood.ts";
export {
  evaluateTask,
  type GroupResult,
  type Scores,
  type TaskOptions,
  type TaskResult,
} from "./src/eval/evaluate_task.ts";
export type { Score } from "./src/eval/metrics.ts";
export type { Scorer } from "./src/eval/scoring.ts";
export type { Metric, Question, Task, TaskPart } from "./src/eval/task.ts";
export { loadTask, parseTaskSpecs, TASK_NAMES, type TaskSpec } from "./src/eval/tasks.ts";

// Files of models, and the hub.
export { findModel, type FoundModel } from "./src/formats/find_model.ts";
export { openPretrained, type PretrainedModel } from "./src/formats/pretrained_model.ts";
export type { GenerationConfig } from "./src/formats/generation_config.ts";
export { readLlamaConfig, type SavedDType, writeHfConfig } from "./src/formats/hf_config.ts";
export type { WeightFile, WeightInfo } from "./src/formats/weight_file.ts";
export type { ElementType } from "./src/formats/element_types.ts";
export type { TensorInfo } from "./src/formats/safetensors_header.ts";
export type { Block, Contents } from "./src/files/contents.ts";
export { Safetensors, type SafetensorsEntry, writeSafetensors } from "./src/formats/safetensors.ts";
export { GgufFile } from "./src/formats/gguf/gguf_file.ts";
export { exportGguf, type ExportOptions, type ExportResult } from "./src/export/gguf.ts";
export { GGUF_TYPES, type GgufType } from "./src/export/write_gguf.ts";
export { mergeAdapter, type MergeOptions, type MergeResult } from "./src/export/merge.ts";
export type { HubClientOptions } from "./src/hub/client.ts";
export type { HubEnvironment } from "./src/hub/environment.ts";
export {
  type DownloadEvent,
  type DownloadProgressEvent,
  type HubOptions,
  resolveModel,
  setHubDefaults,
} from "./src/hub/hub.ts";

// Errors, and texts that name options.
export { explain, type Explanation, UserError } from "./src/options/user_error.ts";
export { type Fault, OptionsError } from "./src/options/faults.ts";
export {
  type OptionReference,
  type Phrase,
  type Piece,
  type Settings,
  spell,
  type Spelling,
} from "./src/options/phrase.ts";
export { CheckpointError } from "./src/formats/checkpoint/manifest.ts";
export { DiskError, DiskFullError } from "./src/files/disk_error.ts";
export { DeviceLostError, GpuError, NoAdapterError, OutOfMemoryError } from "./src/gpu/errors.ts";
export { ShapeError } from "./src/numbers/shape_error.ts";
