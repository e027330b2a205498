/**
 * Trains LLaMA-family language models on the GPU that is there, through WebGPU.
 *
 * @example Pre-train
 * ```ts
 * import { Gpu, pretrainOptions, Trainer } from "./mod.ts";
 *
 * const gpu = await Gpu.open();
 * const options = pretrainOptions.parse({
 *   model: "llama_nano",
 *   data: ["examples/data/tinyshakespeare.txt"],
 *   output: "runs/nano",
 *   steps: 200,
 * });
 * const trainer = await Trainer.pretrain(gpu, options);
 * for await (const event of trainer.run()) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 * }
 * ```
 *
 * @example Fine-tune, and talk to the result
 * ```ts
 * const options = finetuneOptions.parse({
 *   model: "hf:HuggingFaceTB/SmolLM2-135M-Instruct",
 *   data: ["alpaca.json"],
 *   output: "runs/alpaca",
 * });
 * for await (const event of (await Trainer.finetune(gpu, options)).run()) console.log(event);
 * const model = await LlamaForCausalLM.fromPretrained("runs/alpaca/model", { gpu });
 * ```
 *
 * @module
 */
export { DeviceLostError, GpuError, NoAdapterError, OutOfMemoryError } from "./src/gpu/errors.ts";
export { ShapeError } from "./src/numbers/shape_error.ts";
export { type Fault, OptionsError } from "./src/options/faults.ts";
export {
  type OptionReference,
  type Phrase,
  type Settings,
  spell,
  type Spelling,
} from "./src/options/phrase.ts";
export { explain, type Explanation, UserError } from "./src/options/user_error.ts";
export { type AdapterDescription, findAdapter } from "./src/gpu/adapter.ts";
export { Gpu } from "./src/gpu/gpu.ts";
export type { Purpose } from "./src/gpu/tensor.ts";
export {
  type Capabilities,
  CONSUMER_CARD,
  type Feature,
  type Limits,
} from "./src/gpu/capabilities.ts";
export { type LlamaConfig, PRESETS } from "./src/model/config.ts";
export { parameterCount } from "./src/model/description.ts";
export { loadTokenizer } from "./src/tokenizers/load_tokenizer.ts";
export { TextStream, type Tokenizer } from "./src/tokenizers/tokenizer.ts";
export { type Batch, IGNORED } from "./src/model/batch.ts";
export {
  type BatchSource,
  BatchStream,
  type DataOptions,
  type StreamOptions,
} from "./src/data/batches.ts";
export { type InstructOptions, InstructStream } from "./src/data/instruct/stream.ts";
export { preview, type PreviewOptions } from "./src/data/instruct/preview.ts";
export { chatTemplate, TEMPLATE_NAMES } from "./src/data/instruct/templates.ts";
export { exportGguf, type ExportOptions } from "./src/export/gguf.ts";
export { GgufFile } from "./src/formats/gguf/gguf_file.ts";
export { readLlamaConfig, writeHfConfig } from "./src/formats/hf_config.ts";
export {
  type DownloadEvent,
  type HubOptions,
  resolveModel,
  setHubDefaults,
} from "./src/hub/hub.ts";
export { mergeAdapter, type MergeOptions, type MergeResult } from "./src/export/merge.ts";
export { openPretrained, type PretrainedModel } from "./src/formats/pretrained_model.ts";
export { Safetensors, writeSafetensors } from "./src/formats/safetensors.ts";
export type { WeightFile } from "./src/formats/weight_file.ts";
export type { Evaluation } from "./src/inference/perplexity.ts";
export { evaluateTask, type TaskOptions, type TaskResult } from "./src/eval/evaluate_task.ts";
export type { Task } from "./src/eval/task.ts";
export { loadTask, parseTaskSpecs, TASK_NAMES, type TaskSpec } from "./src/eval/tasks.ts";
export {
  type FromPretrainedOptions,
  LlamaForCausalLM,
  type LossAndGradients,
} from "./src/inference/llama_for_causal_lm.ts";
export {
  type Answer,
  chat,
  type ChatModel,
  type ChatOptions,
  Conversation,
} from "./src/inference/chat.ts";
export { complete, type CompleteOptions } from "./src/inference/complete.ts";
export type { Message } from "./src/data/instruct/example.ts";
export type { GenerateOptions } from "./src/inference/generate.ts";
export type {
  LogLikelihood,
  LogLikelihoodOptions,
  LogLikelihoodRequest,
} from "./src/inference/log_likelihood.ts";
export type * from "./src/train/events.ts";
export { saveCheckpointModel } from "./src/train/checkpoint_model.ts";
export { openExamples } from "./src/train/finetune_data.ts";
export { type FinetuneOptions, finetuneOptions } from "./src/train/finetune_options.ts";
export { finetuneRecipe, openBase } from "./src/train/finetune_recipe.ts";
export { pretrainRecipe } from "./src/train/pretrain_recipe.ts";
export type { Recipe } from "./src/train/recipe.ts";
export {
  crossEntropyObjective,
  type LossOutputs,
  type Objective,
  type SubmitLoss,
  weightedCrossEntropy,
} from "./src/train/objective.ts";
export { type Method, type MethodName, METHODS } from "./src/train/methods.ts";
export { optimizerRates, resolveConfig, trainingShape } from "./src/train/method.ts";
export {
  type MemoryOptions,
  memoryOptions,
  type PretrainOptions,
  pretrainOptions,
} from "./src/train/options.ts";
export {
  type Alternative,
  DoesNotFitError,
  fullAdamWShape,
  type MemoryPlan,
  planMemory,
} from "./src/train/plan.ts";
export { type Preparing, Trainer } from "./src/train/trainer.ts";
export { readConfigFile } from "./src/config/config_file.ts";
