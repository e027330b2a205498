/**
 * What the keys of a LLaMA-Factory training file mean here. A key is renamed, interpreted, accepted
 * because it does not affect results, or refused with advice: none is ignored. Names and defaults
 * are those of LLaMA-Factory's arguments and of transformers' `TrainingArguments`, which they
 * extend. values.ts interprets values, method.ts the keys that choose a method (`finetuning_type`,
 * `use_galore`, `optim`, …).
 *
 * Missing keys have this program's defaults, not LLaMA-Factory's.
 *
 * @module
 */
import { fault, type Meaning, show } from "./values.ts";

/** Keys of options with another name. Keys with the same name need no entry. */
export const RENAMED: Readonly<Record<string, string>> = {
  cutoff_len: "seqLen",
  per_device_train_batch_size: "batchSize",
  gradient_accumulation_steps: "gradientAccumulation",
  learning_rate: "lr",
  num_train_epochs: "epochs",
  adam_beta1: "beta1",
  adam_beta2: "beta2",
  adam_epsilon: "adamEps",
  galore_rank: "rank",
  galore_update_interval: "updateProjGap",
  galore_scale: "galoreScale",
  output_dir: "output",
  overwrite_output_dir: "overwriteOutput",
  save_total_limit: "keepCheckpoints",
  gradient_checkpointing: "activationCheckpointing",
};

/** Keys that never affect results, and why. */
export const IGNORED: Readonly<Record<string, string>> = {
  trust_remote_code: "no code of a model's repository is run",
  use_fast_tokenizer: "there is one kind of tokenizer",
  low_cpu_mem_usage: "weights always go to the GPU tensor by tensor",
  print_param_status: "a listing for debugging",
  flash_attn: "attention never holds a T x T matrix; the result is the same",
  use_unsloth: "faster kernels for the same arithmetic",
  use_unsloth_gc: "where activations are kept, not what is computed",
  use_reentrant_gc: "how PyTorch recomputes, not what",
  enable_liger_kernel: "faster kernels for the same arithmetic",
  torch_compile: "faster kernels for the same arithmetic",
  tf32: "products of float32 are exact here, which is no worse",
  galore_layerwise: "gradients are always used up matrix by matrix, with accumulation too",
  overwrite_cache: "examples are encoded anew for every run",
  preprocessing_num_workers: "how examples are encoded, not into what",
  preprocessing_batch_size: "how examples are encoded, not into what",
  dataloader_num_workers: "how batches are read, not which",
  dataloader_pin_memory: "how batches are read, not which",
  dataloader_persistent_workers: "how batches are read, not which",
  dataloader_prefetch_factor: "how batches are read, not which",
  remove_unused_columns: "only columns that are used are read",
  per_device_eval_batch_size: "evaluation takes the training's; a mean does not depend on it",
  eval_accumulation_steps: "losses are added up on the GPU",
  ddp_timeout: "there is one GPU",
  ddp_backend: "there is one GPU",
  ddp_find_unused_parameters: "there is one GPU",
  ddp_bucket_cap_mb: "there is one GPU",
  full_determinism: "the same run gives the same bits in any case",
  logging_steps: "metrics.jsonl has every step",
  logging_strategy: "metrics.jsonl has every step",
  logging_first_step: "metrics.jsonl has every step",
  logging_dir: "metrics.jsonl is in the output folder",
  log_level: "what is shown, not what is computed",
  disable_tqdm: "what is shown, not what is computed",
  plot_loss: "metrics.jsonl has what a plot needs",
  include_num_input_tokens_seen: "metrics.jsonl has the tokens of every step",
  include_tokens_per_second: "metrics.jsonl has the speed of every step",
  include_effective_tokens_per_second: "metrics.jsonl has the speed of every step",
  skip_memory_metrics: "memory is counted exactly, at no cost",
  run_name: "a label for trackers",
};

/** Keys with only one or a few supported values; any other is refused, with the reason. */
export const ONLY: Readonly<Record<string, readonly [accepted: readonly unknown[], why: string]>> =
  {
    do_train: [[true], "this command trains"],
    do_eval: [[true, false], "must be true or false"],
    do_predict: [[false], "training writes no answers"],
    predict_with_generate: [[false], "evaluation is by loss: training writes no answers"],
    adapter_name_or_path: [[], "merge the adapter into its model, and start from that"],
    create_new_adapter: [[false], "no adapter can be started from"],
    fp16: [[false], "there is no training in float16: say bf16: true"],
    fp8: [[false], "there is no training in float8: say bf16: true"],
    upcast_layernorm: [[false], "norms have the format of dtype"],
    quantization_type: [["nf4"], "4-bit weights are NF4"],
    quantization_method: [["bitsandbytes", "bnb"], "4-bit weights are as in bitsandbytes"],
    double_quantization: [[true], "the scales of 4-bit weights are always quantised"],
    galore_proj_type: [["std"], "the smaller side is projected, as std does"],
    use_rslora: [[false], "updates are scaled by lora_alpha / lora_rank"],
    use_dora: [[false], "adapters are plain LoRA"],
    pissa_init: [[false], "adapters begin as in LoRA"],
    pissa_convert: [[false], "adapters begin as in LoRA"],
    use_apollo: [[false], "use_galore: true trains in a low-rank space too"],
    use_badam: [[false], "use_galore: true trains with little memory too"],
    use_adam_mini: [[false], "optim: adamw_8bit has small moments too"],
    use_llama_pro: [[false], "no layers are added"],
    use_mca: [[false], "there is one GPU"],
    use_dft_loss: [[false], "the loss is cross-entropy"],
    use_swanlab: [[false], "runs are recorded in metrics.jsonl"],
    report_to: [["none", [], ["none"]], "runs are recorded in metrics.jsonl"],
    push_to_hub: [[false], "upload the output's model folder with the hub's own program"],
    load_best_model_at_end: [[false], "the last weights are saved"],
    save_only_model: [[false], "a checkpoint holds everything that a resumption needs"],
    save_safetensors: [[true], "models are saved as safetensors"],
    group_by_length: [[false], "packing: true fills sequences of any length"],
    disable_shuffling: [[false], "examples are shuffled, by seed"],
    streaming: [[false], "examples are encoded once, before the first step"],
    mask_history: [[false], "all that the assistant says is learned"],
    eval_on_each_dataset: [[false], "evaluation is of all examples together"],
    compute_accuracy: [[false], "evaluation is by loss"],
    ignore_pad_token_for_loss: [[true], "padding is never learned"],
    mix_strategy: [["concat"], "data sets are taken together and shuffled"],
    resize_vocab: [[false], "the vocabulary stays as it is"],
    shift_attn: [[false], "attention is to every token before"],
    split_special_tokens: [[false], "special tokens are single tokens"],
    model_revision: [["main"], "name it with the model: hf:org/name@revision"],
    max_grad_norm: [[0], "gradients are not clipped: in a fused update their norm is never known"],
    label_smoothing_factor: [[0], "the loss is plain cross-entropy"],
    neftune_noise_alpha: [[0], "no noise is added to embeddings"],
    lr_scheduler_kwargs: [[{}], "a floor is min_lr_ratio"],
    deepspeed: [[], "one GPU is used: leave this out"],
    fsdp: [["", []], "one GPU is used: leave this out"],
    freeze_trainable_layers: [[], "finetuning_type is full or lora"],
    freeze_trainable_modules: [[], "finetuning_type is full or lora"],
    additional_target: [[], "adapters alone are trained; see lora_target"],
    loraplus_lr_ratio: [[], "both matrices of an adapter have one rate"],
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
