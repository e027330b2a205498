/**
 * What the keys of a LLaMA-Factory training file mean here. A key is renamed, interpreted, noted
 * because it has no effect here, or refused with advice: none is ignored in silence. Names and defaults
 * are those of LLaMA-Factory's arguments and of transformers' `TrainingArguments`, which they
 * extend. values.ts interprets values, method.ts the keys that choose a method (`finetuning_type`,
 * `use_galore`, `optim`, …).
 *
 * Missing keys have this program's defaults, not LLaMA-Factory's.
 *
 * @module
 */
import { fault, type KeyContext, type Meaning, pretrains, show } from "./meaning.ts";

/** Keys of options with another name. Keys with the same name need no entry. */
export const RENAMED: Readonly<Record<string, string>> = {
  cutoff_len: "seqLen",
  per_device_train_batch_size: "batchSize",
  gradient_accumulation_steps: "gradientAccumulation",
  learning_rate: "lr",
  adam_beta1: "beta1",
  adam_beta2: "beta2",
  adam_epsilon: "adamEps",
  galore_rank: "rank",
  galore_update_interval: "updateProjGap",
  galore_scale: "galoreScale",
  galore_layerwise: "layerwise",
  apollo_rank: "rank",
  apollo_update_interval: "updateProjGap",
  apollo_scale: "apolloScale",
  apollo_layerwise: "layerwise",
  output_dir: "output",
  adapter_name_or_path: "adapter",
  save_total_limit: "keepCheckpoints",
  gradient_checkpointing: "activationCheckpointing",
  early_stopping_steps: "earlyStoppingPatience",
};

/** A default of LLaMA-Factory that is another here. */
interface OtherDefault {
  readonly option: string;
  readonly key: string;
  readonly there: unknown;
  /** In which files; by default in all. */
  readonly where?: (file: KeyContext) => boolean;
}
const isTrue = (key: string) => ({ get }: KeyContext) => get(key) === true;

/** LLaMA-Factory's defaults where this program's differ. */
export const OTHER_DEFAULTS: readonly OtherDefault[] = [
  { option: "seqLen", key: "cutoff_len", there: 2048 },
  { option: "batchSize", key: "per_device_train_batch_size", there: 8 },
  { option: "lr", key: "learning_rate", there: 5e-5 },
  { option: "scheduler", key: "lr_scheduler_type", there: "linear" },
  { option: "warmupRatio", key: "warmup_ratio", there: 0 },
  { option: "packing", key: "packing", there: false },
  { option: "maxGradNorm", key: "max_grad_norm", there: 1, where: pretrains },
  { option: "rank", key: "galore_rank", there: 16, where: isTrue("use_galore") },
  { option: "galoreScale", key: "galore_scale", there: 2, where: isTrue("use_galore") },
  { option: "rank", key: "apollo_rank", there: 16, where: isTrue("use_apollo") },
  { option: "apolloScale", key: "apollo_scale", there: 32, where: isTrue("use_apollo") },
];

/** Keys that never affect results, and why. */
export const IGNORED: Readonly<Record<string, string>> = {
  trust_remote_code: "code from a model's repository is never run",
  use_fast_tokenizer: "there is only one kind of tokenizer",
  low_cpu_mem_usage: "weights always go to the GPU tensor by tensor",
  print_param_status: "debug output",
  flash_attn: "attention never materialises a T x T matrix; the result is the same",
  use_unsloth: "faster kernels for the same arithmetic",
  use_unsloth_gc: "where activations are stored, not what is computed",
  use_reentrant_gc: "how PyTorch recomputes, not what",
  enable_liger_kernel: "faster kernels for the same arithmetic",
  torch_compile: "faster kernels for the same arithmetic",
  tf32: "float32 products are exact here, which is no worse",
  apollo_scale_front: "the limiter compares norms of two steps, in whose ratio a scale cancels",
  overwrite_cache: "examples are encoded for every run",
  preprocessing_num_workers: "how examples are encoded, not into what",
  preprocessing_batch_size: "how examples are encoded, not into what",
  dataloader_num_workers: "how batches are read, not which",
  dataloader_pin_memory: "how batches are read, not which",
  dataloader_persistent_workers: "how batches are read, not which",
  dataloader_prefetch_factor: "how batches are read, not which",
  remove_unused_columns: "only the columns in use are read",
  per_device_eval_batch_size:
    "evaluation uses the training batch size; a mean does not depend on it",
  eval_accumulation_steps: "losses are summed on the GPU",
  ddp_timeout: "there is one GPU",
  ddp_backend: "there is one GPU",
  ddp_find_unused_parameters: "there is one GPU",
  ddp_bucket_cap_mb: "there is one GPU",
  full_determinism: "runs are always deterministic",
  logging_steps: "metrics.jsonl has every step",
  logging_strategy: "metrics.jsonl has every step",
  logging_first_step: "metrics.jsonl has every step",
  logging_dir: "metrics.jsonl is in the output folder",
  log_level: "what is shown, not what is computed",
  disable_tqdm: "what is shown, not what is computed",
  plot_loss: "metrics.jsonl has the data for a plot",
  include_num_input_tokens_seen: "metrics.jsonl has the tokens of every step",
  include_tokens_per_second: "metrics.jsonl has the speed of every step",
  include_effective_tokens_per_second: "metrics.jsonl has the speed of every step",
  skip_memory_metrics: "memory is counted exactly, at no cost",
  run_name: "a label for trackers",
  report_to: "runs are recorded in metrics.jsonl",
  use_swanlab: "runs are recorded in metrics.jsonl",
  deepspeed: "how work is spread over several GPUs; there is one",
  fsdp: "how work is spread over several GPUs; there is one",
  fsdp_config: "how work is spread over several GPUs; there is one",
  ray_run_name: "there is one GPU",
  ray_storage_path: "there is one GPU",
  ray_num_workers: "there is one GPU",
  resources_per_worker: "there is one GPU",
  placement_strategy: "there is one GPU",
  streaming: "examples are encoded once, before the first step",
  save_only_model: "a checkpoint contains everything needed to resume",
  eval_on_start: "fine-tuning always evaluates before its first step",
  bf16_full_eval: "evaluation has the format of training",
  fp16_full_eval: "evaluation has the format of training",
  image_max_pixels: "examples have no images",
  video_max_pixels: "examples have no videos",
  freeze_vision_tower: "examples have no images",
  freeze_multi_modal_projector: "examples have no images",
  infer_backend: "a setting of inference",
  infer_dtype: "a setting of inference",
  torch_empty_cache_steps: "memory is planned before the run",
};

/** Keys that would change what is trained, but cannot here: each is noted, with the reason. */
export const NOTED: Readonly<
  Record<string, readonly [without: readonly unknown[], why: string]>
> = {
  enable_thinking: [
    [],
    "thoughts are trained as the examples and the chat template have them; it is a setting of " +
    "generation",
  ],
  tool_format: [[], "tools and calls are written by the chat template"],
  group_by_length: [[false], "packing: true fills sequences with examples of any length"],
};

/** Keys with only one or a few supported values; any other is refused, with the reason. */
export const ONLY: Readonly<Record<string, readonly [accepted: readonly unknown[], why: string]>> =
  {
    do_train: [[true], "this command trains"],
    do_eval: [[true, false], "must be true or false"],
    do_predict: [[false], "training generates no answers"],
    predict_with_generate: [[false], "evaluation is by loss; training generates no answers"],
    create_new_adapter: [
      [false],
      "adapter_name_or_path is trained further; to start another, merge it",
    ],
    fp16: [[false], "training in float16 is not supported: use bf16: true"],
    fp8: [[false], "training in float8 is not supported: use bf16: true"],
    metric_for_best_model: [["eval_loss", "loss"], "evaluation is by loss"],
    greater_is_better: [[false], "the best model has the lowest loss"],
    tokenized_path: [[], "examples are encoded for every run"],
    data_seed: [[], "seed also sets the order of the data"],
    upcast_lmhead_output: [[false], "logits are computed in float32"],
    upcast_layernorm: [[false], "norms use the format of dtype"],
    quantization_type: [["nf4"], "4-bit weights are NF4"],
    quantization_method: [["bitsandbytes", "bnb"], "4-bit weights follow bitsandbytes"],
    double_quantization: [[true], "the scales of 4-bit weights are always quantised"],
    galore_proj_type: [["std"], "the smaller side is projected, as std does"],
    apollo_proj_type: [["std"], "the smaller side is projected, as std does"],
    apollo_proj: [["random"], "singular vectors are what use_galore: true projects to"],
    pissa_init: [[false], "adapters are initialised as in LoRA"],
    pissa_convert: [[false], "adapters are initialised as in LoRA"],
    use_badam: [[false], "use_galore: true also trains with little memory"],
    use_adam_mini: [
      [false],
      "optim: adamw_8bit also has small moments, and embedding_optimizer: adam_factored those of " +
      "embedding and head",
    ],
    use_llama_pro: [[false], "no layers are added"],
    use_mca: [[false], "there is one GPU"],
    use_dft_loss: [[false], "the loss is cross-entropy"],
    push_to_hub: [[false], "upload the output's model folder with the hub's own tool"],
    save_safetensors: [[true], "models are saved as safetensors"],
    disable_shuffling: [[false], "examples are shuffled, by seed"],
    mask_history: [[false], "all of the assistant's turns are trained"],
    eval_on_each_dataset: [[false], "all evaluation examples are evaluated together"],
    compute_accuracy: [[false], "evaluation is by loss"],
    ignore_pad_token_for_loss: [[true], "padding never contributes to the loss"],
    mix_strategy: [["concat"], "datasets are concatenated and shuffled"],
    shift_attn: [[false], "attention covers all previous tokens"],
    split_special_tokens: [[false], "special tokens are never split"],
    model_revision: [["main"], "add it to the model: hf:org/name@revision"],
    label_smoothing_factor: [[0], "the loss is plain cross-entropy"],
    neftune_noise_alpha: [[0], "noise is added to embeddings in fine-tuning"],
    freeze_trainable_layers: [[], "finetuning_type is full or lora"],
    freeze_trainable_modules: [[], "finetuning_type is full or lora"],
    hf_hub_token: [[], "set HF_TOKEN in the environment instead"],
    cache_dir: [[], "set HF_HOME in the environment instead"],
  };

/** Checks a key of `ONLY`. Values that are never valid are not repeated: they may be secret. */
export function onlyFault(key: string, value: unknown): Meaning {
  const [accepted, why] = ONLY[key];
  const [text, ...known] = [value, ...accepted].map((each) => JSON.stringify(each));
  if (known.includes(text)) return {};
  if (!known.length) return fault(`is not supported: ${why}`);
  return fault(`must be ${known[0].replaceAll('"', "")} or left out, got ${show(value)}: ${why}`);
}
