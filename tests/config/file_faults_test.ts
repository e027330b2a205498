/** Faults of a file of options: where they are, and what would be right. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { faultsOf, MINIMAL, run } from "./support.ts";

for (
  const [lines, expected] of [
    // Types and ranges, by the schema: file, line, key, value and what is right.
    ["cutoff_len: many", "cutoff_len: must be a number, got many"],
    ["cutoff_len: 10.5", "cutoff_len: must be a whole number, got 10.5"],
    ["batch-size: 0", "batch-size: must be at least 1, got 0"],
    ["train_on_prompt: yes", "train_on_prompt: must be a boolean, got yes"],
    ["dataset: [1]", "dataset: must be a string, got [1]"],
    ["eval_data: {a: 1}", 'eval_data: must be a list, got {"a":1}'],
    ["scheduler: cosin", "got cosin (did you mean cosine?)"],
    ["val_size: 0.9", "val_size: must be at most 0.5, or a whole number of examples, got 0.9"],
    ["optimizer: adam", "got adam (did you mean adamw?)"],
    // Unknown keys.
    ["lerning_rate: 1", "lerning_rate: unknown key (did you mean learning_rate?)"],
    ["__proto__: 1", "__proto__: unknown key"],
    ["constructor: null", "constructor: unknown key"],
    // Values with another meaning here.
    ["template: llama4", "zephyr, got llama4 (did you mean llama2?)"],
    ["template: qwen9000", "qwen9000"],
    ["stage: dpo", "stage: must be sft or pt, got dpo"],
    ["do_train: false", "do_train: must be true or left out, got false: this command trains"],
    ["do_predict: true", "do_predict: must be false or left out, got true"],
    ["fp16: true", "use bf16: true"],
    ["bf16: auto", "bf16: must be true or false, got auto"],
    ["quantization_bit: 8", "quantization_bit: must be 4, got 8"],
    ["quantization_type: fp4", "quantization_type: must be nf4 or left out, got fp4"],
    ["double_quantization: false", "double_quantization: must be true or left out, got false"],
    ["finetuning_type: freeze", "finetuning_type: must be full or lora, got freeze"],
    ["use_muon: 1", "use_muon: must be true or false, got 1"],
    ["use_galore: 1", "use_galore: must be true or false, got 1"],
    ["galore_target: q_proj,v_proj", "galore_target: must be all"],
    ["optim: adamw_trch", "got adamw_trch (did you mean adamw_torch?)"],
    ["optim: adamw_torch", "optim: also needs finetuning_type: full or lora"],
    ["eval_strategy: best", "eval_strategy: must be steps, epoch or no, got best"],
    ["save_strategy: best", "save_strategy: must be steps, epoch or no, got best: load_best_mod"],
    ["lr_scheduler_type: cosine_with_min_lr", "lr_scheduler_type: cosine_with_min_lr needs min_lr"],
    ["min_lr: 1e-6", "min_lr: needs lr_scheduler_type: cosine_with_min_lr"],
    ["metric_for_best_model: eval_accuracy", "metric_for_best_model: must be eval_loss or left"],
    ["lr_scheduler_type: polynomial", "constant_with_warmup, got polynomial"],
    ["lr_scheduler_type: constant\nwarmup_ratio: 0.1", "warmup_ratio: 0.1 has no effect with"],
    ["packing: true\nneat_packing: false", "neat_packing: false is not supported with packing on"],
    ["packing: false\nneat_packing: true", "true disagrees with packing on line 4"],
    ["dataset_dir: ONLINE", "dataset_dir: ONLINE is not supported"],
    ["create_new_adapter: true", "create_new_adapter: must be false or left out, got true"],
    ["resize_vocab: true", "resize_vocab: needs add_special_tokens"],
    ["add_tokens: <a>,<b>", "add_tokens: adds plain tokens there, and special ones here"],
    ["additional_target: norm", "must be of embed_tokens and lm_head, which are trained whole"],
    ["train_from_scratch: true", "train_from_scratch: must be false, got true"],
    // One option under two names.
    ["batch_size: 1\nper_device_train_batch_size: 1", "means the same as batch_size on line 4"],
    ["batch_size: 1\nbatch-size: 2", "batch-size: means the same as batch_size on line 4"],
    ["bf16: true\ndtype: float32", "dtype: means the same as bf16 on line 4"],
    ["seed: 1\nseed: 2", "seed: is already on line 4: keep only one"],
    // Conflicting methods.
    ["use_galore: true\nuse_muon: true", "use_muon: true disagrees with use_galore on line 4"],
    ["use_muon: true\noptim: galore_adamw", "galore_adamw disagrees with use_muon on line 4"],
    ["optimizer: adamw\nuse_muon: true", "true disagrees with optimizer on line 4: adamw"],
    ["finetuning_type: lora\nuse_galore: true", "use_galore: true disagrees with finetuning_type"],
    ["finetuning_type: full\nquantization_bit: 4", "quantization_bit: 4 disagrees with"],
    ["optimizer: lora\nuse_galore: true", "true disagrees with optimizer on line 4: lora"],
    ["optimizer: q_galore_adamw8bit\nuse_galore: false", "false disagrees with optimizer"],
    ["optimizer: q_galore_adamw8bit\noptim: adamw_torch", "adamw_torch disagrees with optimizer"],
    ["optimizer: adamw\nfinetuning_type: lora", "lora disagrees with optimizer on line 4: adamw"],
    ["use_galore: false\noptim: galore_adamw", "galore_adamw disagrees with use_galore on line 4"],
    ["finetuning_type: lora\noptim: adamw_8bit", "adamw_8bit is not supported for adapters"],
    // Rules between options.
    ["finetuning_type: full\ngalore_rank: 8", "galore_rank: needs the optimizer"],
    ["max_steps: 5\nwarmup_steps: 9", "warmup_steps: must be at most the run's 5 steps, got 9"],
  ] as const
) {
  Deno.test(`at fault: ${lines.replaceAll("\n", ", ")}`, async () => {
    const faults = await faultsOf(`${MINIMAL}${lines}\n`);
    assertEquals(faults.length, 1, faults.join("\n"));
    const at = expected.split(":")[0];
    const line = lines.split("\n").findLastIndex((each) => each.startsWith(`${at}:`));
    assertStringIncludes(faults[0], expected);
    assertStringIncludes(faults[0], `run.yaml:${line < 0 ? "" : 4 + line}`);
  });
}

Deno.test("all faults at once, of the file and of the flags", async () => {
  const faults = await faultsOf(
    "data: d.json\nbath_size: 3\nfinetuning_type: oft\nlora_rank: 2\nlearning_rate: fast\n",
    ["--sed", "3", "--epochs", "x"],
  );
  assertEquals(faults, [
    "--sed: unknown flag (did you mean --seed?)",
    "run.yaml:2: bath_size: unknown key (did you mean batch_size?)",
    "run.yaml:3: finetuning_type: must be full or lora, got oft",
    "--model: is required",
    "run.yaml:5: learning_rate: must be a number, got fast",
    "--epochs: must be a number, got x",
    "--output: is required",
  ]);
});

Deno.test("a secret in the place of an unsupported key is not repeated", async () => {
  const [fault] = await faultsOf(`${MINIMAL}hf_hub_token: hf_secret\n`);
  assertEquals(
    fault,
    "run.yaml:4: hf_hub_token: is not supported: set HF_TOKEN in the environment instead",
  );
});

for (
  const [what, text, expected] of [
    ["empty", "# nothing\n", "run.yaml: is empty: expected one option per line, such as lr: 1e-4"],
    ["a list", "- a\n", "run.yaml: must be a mapping of options to values, got a list"],
    ["a word", "words\n", 'run.yaml: must be a mapping of options to values, got "words"'],
    ["a syntax error", "model: m\nlr: [1\n", "run.yaml:3: "],
    ["bad indentation", "model: m\n  lr: 1\n", "run.yaml:2: Cannot read block: bad indentation"],
    ["two documents", "a: 1\n---\nb: 1\n", "run.yaml:2: Found more than 1 document"],
  ] as const
) {
  Deno.test(`no mapping of options: ${what}`, async () => {
    const [first] = await faultsOf(text);
    assertEquals(first.slice(0, expected.length), expected);
  });
}

Deno.test("a fault of a line in a file names other options as files do", async () => {
  const { err } = await run("finetune", "model: m\ndata: d\noutput: o\nenergy_share: 0.3\n");
  assertEquals(err[0].split("\n")[0], 'run.yaml:4: energy_share: needs rank: "auto"');
});
