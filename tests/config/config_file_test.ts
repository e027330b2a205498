/** Files of options, through the command line where it matters. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { readConfigFile } from "../../src/config/config_file.ts";
import { COMMANDS, main } from "../../src/cli/main.ts";
import { IGNORED, NOTED, ONLY, RENAMED } from "../../src/config/llama_factory/keys.ts";
import { READ } from "../../src/config/llama_factory/values.ts";
import { UserError } from "../../src/options/user_error.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { OptionsError } from "../../src/options/faults.ts";

type Values = Record<string, unknown>;

const EXAMPLES = fromFileUrl(import.meta.resolve("../../examples/configs/"));

async function withFile<T>(text: string, use: (path: string) => Promise<T>, name = "run.yaml") {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, name);
    await Deno.writeTextFile(path, text);
    return await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The options that a command runs with, or its error, without the file's folder. */
async function run(command: string, text: string, flags: string[] = [], name = "run.yaml") {
  return await withFile(text, async (path) => {
    const err: string[] = [];
    let options: Values | undefined;
    const commands = COMMANDS.map((each) => ({
      ...each,
      run: (given: Values) => {
        options = given;
        return Promise.resolve(0);
      },
    }));
    const code = await main([command, "--config", path, ...flags], {
      stdout: () => {},
      write: () => {},
      stderr: (line) => err.push(line),
      interactive: false,
      signal: new AbortController().signal,
    }, commands);
    const folder = path.slice(0, -name.length);
    return { code, options, err: err.join("\n").replaceAll(folder, "").split("\n") };
  }, name);
}

/** The options that differ from the defaults. */
async function optionsOf(text: string, flags: string[] = []): Promise<Values> {
  const { options, err } = await run("finetune", text, flags);
  assert(options, err.join("\n"));
  const defaults: Values = {
    ...finetuneOptions.parse({ model: "-", data: ["-"], output: "-" }),
  };
  return Object.fromEntries(
    Object.entries(options).filter(([option, value]) =>
      JSON.stringify(value) !== JSON.stringify(defaults[option])
    ),
  );
}

async function faultsOf(text: string, flags: string[] = [], command = "finetune") {
  const { code, options, err } = await run(command, text, flags);
  assertEquals([code, options], [2, undefined], "was accepted");
  assertStringIncludes(err.pop()!, "--help");
  return err;
}

const REQUIRED = { model: "m", data: ["d.json"], output: "o" };
const MINIMAL = "model: m\ndata: d.json\noutput: o\n";

Deno.test("options are known by three spellings, from the schema", async () => {
  for (const key of ["batchSize", "batch-size", "batch_size"]) {
    assertEquals(await optionsOf(`${MINIMAL}${key}: 2\n`), { ...REQUIRED, batchSize: 2 });
  }
  const every = Object.keys(finetuneOptions.fields);
  const snake = every.map((each) => each.replace(/[A-Z]/g, (l) => `_${l.toLowerCase()}`));
  // Nulls: every key is known, and none counts as given.
  const nulls = snake.filter((key) => !/^(model|data|output)$/.test(key)).map((key) =>
    `${key}: null\n`
  ).join("");
  assertEquals(await optionsOf(MINIMAL + nulls), REQUIRED);
});

Deno.test("LLaMA-Factory's keys for added tokens, embeddings beside adapters, and an adapter to go on with", async () => {
  const lora = `${MINIMAL}finetuning_type: lora\n`;
  const added = await optionsOf(`${lora}add_special_tokens: <a>, <b>\nresize_vocab: true\n`);
  assertEquals([added.addTokens, added.trainEmbeddings], [["<a>", "<b>"], true]);
  const own = await optionsOf(`${lora}add_tokens: [<a>]\n`);
  assertEquals(own.addTokens, ["<a>"]);
  const whole = await optionsOf(`${lora}additional_target: embed_tokens,lm_head\n`);
  assertEquals(whole.trainEmbeddings, true);
  const further = await optionsOf(`${lora}adapter_name_or_path: run/adapter\n`);
  assertEquals([further.adapter, further.trainEmbeddings ?? false], ["run/adapter", false]);
});

Deno.test("values of every type; lists as lists or as a word", async () => {
  const text = `
model: m
data: [a.json, "b, c.json"]
dataset: identity, alpaca
output: o
lr: 1e-4
epochs: 0.5
rank: auto
train_on_prompt: true
packing: false
lora_target: null
`;
  assertEquals(await optionsOf(text), {
    model: "m",
    data: ["a.json", "b, c.json"],
    dataset: ["identity", "alpaca"],
    output: "o",
    epochs: 0.5,
    rank: "auto",
    trainOnPrompt: true,
    packing: false,
  });
  const { loraTarget } = await optionsOf(`${MINIMAL}optimizer: lora\nlora_target: q_proj,v_proj\n`);
  assertEquals(loraTarget, ["q_proj", "v_proj"]);
});

Deno.test("JSON is read as well, tabs and all", async () => {
  const json = JSON.stringify({ model: "m", data: ["d"], output: "o", cutoff_len: 64 }, null, "\t");
  const { options, err } = await run("finetune", json, [], "run.json");
  assertEquals([err, options?.seqLen], [[""], 64]);
  const bad = await run("finetune", json.replace("64", '"x"'), [], "run.json");
  assertEquals(bad.err[0], "run.json:7: cutoff_len: must be a number, got x");
});

Deno.test("flags win over the file, also those that say it another way", async () => {
  const text = `${MINIMAL}steps: 100\nwarmup_steps: 10\nlr: 1e-3\ntrain_embeddings: true\n`;
  const flags = ["--lr", "0.01", "--epochs", "1", "--warmup-ratio", "0.2", "--data", "x", "y"];
  assertEquals(await optionsOf(text, [...flags, "--no-train-embeddings"]), {
    ...REQUIRED,
    data: ["x", "y"],
    epochs: 1,
    warmupRatio: 0.2,
    lr: 0.01,
  });
  const named = "model: m\noutput: o\ndataset: a\neval_data: e\n";
  assertEquals(await optionsOf(named, ["--data", "x", "--eval-share", "0.2"]), {
    ...REQUIRED,
    data: ["x"],
    evalShare: 0.2,
  });
});

/** LLaMA-Factory's published examples, without the parts for several GPUs. */
const PARTS = {
  model: "model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct\ntrust_remote_code: true\n",
  dataset: `
### dataset
dataset: identity,alpaca_en_demo
template: llama3
cutoff_len: 2048
max_samples: 1000
overwrite_cache: true
preprocessing_num_workers: 16
dataloader_num_workers: 4
`,
  output: `
### output
output_dir: saves/llama3-8b
logging_steps: 10
save_steps: 500
plot_loss: true
save_only_model: false
report_to: none  # choices: [none, wandb, tensorboard, swanlab, mlflow]
`,
  train: `
### train
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000
resume_from_checkpoint: null
`,
  eval: `
### eval
val_size: 0.1
per_device_eval_batch_size: 1
eval_strategy: steps
eval_steps: 500
`,
};
const { model: MODEL, ...REST } = PARTS;
const COMMON = Object.values(REST).join("");
const EXPECTED = {
  model: "hf:meta-llama/Meta-Llama-3-8B-Instruct",
  dataset: ["identity", "alpaca_en_demo"],
  template: "llama3",
  seqLen: 2048,
  maxSamples: 1000,
  output: "saves/llama3-8b",
  batchSize: 1,
  gradientAccumulation: 8,
  epochs: 3,
  warmupRatio: 0.1,
  // LLaMA-Factory's cosine ends at zero, ours at a tenth.
  minLrRatio: 0,
  evalShare: 0.1,
  evalEvery: 500,
};
const METHOD = "stage: sft\ndo_train: true\n";

for (
  const [name, method, expected] of [
    ["llama3_full_sft", "finetuning_type: full\n", {
      optimizer: "adamw",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
      trainEmbeddings: true,
    }],
    ["llama3_full_sft in 8 bits", "finetuning_type: full\noptim: adamw_bnb_8bit\n", {
      optimizer: "adamw8bit",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
      trainEmbeddings: true,
    }],
    ["llama3_lora_sft", "finetuning_type: lora\nlora_rank: 8\nlora_target: all\n", {
      optimizer: "lora",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
    }],
    [
      "llama3_lora_sft of some",
      "finetuning_type: lora\nlora_rank: 4\nlora_alpha: 9\nlora_dropout: 0.1\n" +
      "lora_target: q_proj,v_proj\n",
      {
        optimizer: "lora",
        weightQuant: false,
        projQuant: false,
        embeddingQuant: false,
        loraRank: 4,
        loraAlpha: 9,
        loraDropout: 0.1,
        loraTarget: ["q_proj", "v_proj"],
      },
    ],
    [
      "llama3_qlora",
      "quantization_bit: 4\nquantization_method: bitsandbytes  # choices: [bitsandbytes, hqq]\n" +
      "quantization_type: nf4\ndouble_quantization: true\nfinetuning_type: lora\n",
      { optimizer: "qlora", weightQuant: false, projQuant: false, embeddingQuant: false },
    ],
    [
      "galore",
      "finetuning_type: full\nuse_galore: true\ngalore_layerwise: true\n" +
      "galore_target: mlp,self_attn\ngalore_rank: 128\ngalore_scale: 2.0\n" +
      "galore_update_interval: 50\n",
      {
        optimizer: "galore_adamw",
        weightQuant: false,
        projQuant: false,
        embeddingQuant: false,
        rank: 128,
        galoreScale: 2,
        updateProjGap: 50,
        trainEmbeddings: true,
      },
    ],
    ["muon", "finetuning_type: full\nuse_muon: true\n", {
      optimizer: "muon",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
      trainEmbeddings: true,
    }],
    ["muon in 8 bits", "finetuning_type: full\nuse_muon: true\noptim: adamw_8bit\n", {
      optimizer: "muon8bit",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
      trainEmbeddings: true,
    }],
    ["galore in 8 bits", "finetuning_type: full\nuse_galore: true\noptim: adamw_8bit\n", {
      optimizer: "galore_adamw8bit",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
      trainEmbeddings: true,
    }],
    [
      "q-galore beside use_galore",
      "finetuning_type: full\nuse_galore: true\noptim: adamw_8bit\ntrain_embeddings: false\n" +
      "optimizer: q_galore_adamw8bit\n",
      {},
    ],
  ] as const
) {
  Deno.test(`LLaMA-Factory: ${name}`, async () => {
    const { lr, stochasticRound: _, data: __, ...options } = await optionsOf(
      MODEL + METHOD + method + COMMON,
    );
    assertEquals(options, { ...EXPECTED, ...expected } as Values);
    // 1e-4 is also what GaLore has by default.
    assertEquals(lr ?? 1e-4, 1e-4);
  });
}

Deno.test("LLaMA-Factory: what has no effect here is noted, and no fault", async () => {
  const text = `${MODEL}${METHOD}finetuning_type: full
deepspeed: examples/deepspeed/ds_z3_config.json
${COMMON}
max_grad_norm: 1.0
enable_thinking: true
tool_format: glm4
`;
  const { options, err } = await run("finetune", text);
  assert(options, err.join("\n"));
  assertEquals(err, [
    "note: run.yaml:42: max_grad_norm: has no effect here: gradients are not clipped: with fused " +
    "updates their global norm is never known",
    "note: run.yaml:43: enable_thinking: has no effect here: thoughts are trained as the examples " +
    "and the chat template have them; it is a setting of generation",
    "note: run.yaml:44: tool_format: has no effect here: tools and calls are written by the chat " +
    "template",
    "note: run.yaml: these keys have no effect here: trust_remote_code, deepspeed, " +
    "overwrite_cache, preprocessing_num_workers, dataloader_num_workers, logging_steps, plot_loss, " +
    "save_only_model, report_to, ddp_timeout, per_device_eval_batch_size",
    "note: run.yaml: left out, with defaults of this program: packing (false in LLaMA-Factory)",
  ]);
});

/** What its documentation says of `template` and `val_size`. */
Deno.test("LLaMA-Factory: without val_size nothing is held out; template default is its own", async () => {
  const text = "model_name_or_path: m\ndataset: d\noutput_dir: o\n";
  const { options, err } = await run("finetune", text);
  assertEquals(options?.evalShare, 0);
  assertEquals(err, [
    "note: run.yaml: left out, with defaults of this program: cutoff_len (2048 in LLaMA-Factory), " +
    "per_device_train_batch_size (8 in LLaMA-Factory), learning_rate (0.00005 in LLaMA-Factory), " +
    "lr_scheduler_type (linear in LLaMA-Factory), warmup_ratio (0 in LLaMA-Factory), packing " +
    "(false in LLaMA-Factory)",
    "note: run.yaml: without val_size nothing is held out, as in LLaMA-Factory",
  ]);
  assertEquals((await run("finetune", `${text}val_size: 0.2\n`)).options?.evalShare, 0.2);
  assertEquals((await run("finetune", `${text}eval_dataset: e\n`)).options?.evalShare, 0.05);
  assertEquals((await run("finetune", text, ["--eval-share", "0.3"])).options?.evalShare, 0.3);
  const [fault] = await faultsOf(`${text}template: default\n`);
  assertStringIncludes(fault, "run.yaml:4: template: default is a format of its own");
});

for (
  const [lines, expected] of [
    ["lr_scheduler_type: linear", { scheduler: "linear", minLrRatio: 0 }],
    ["overwrite_output_dir: true", { overwriteOutput: true }],
    ["eval_dataset: a, b", { evalDataset: ["a", "b"] }],
    ["lr_scheduler_type: cosine\nmin_lr_ratio: 0.2", { minLrRatio: 0.2 }],
    ["lr_scheduler_type: constant", { scheduler: "constant", warmupRatio: 0 }],
    ["lr_scheduler_type: constant_with_warmup\nwarmup_steps: 5", {
      scheduler: "constant",
      warmupSteps: 5,
    }],
    ["warmup_steps: 0.1", { warmupRatio: 0.1 }],
    ["warmup_steps: 9\nwarmup_ratio: 0.2", { warmupSteps: 9 }],
    ["max_steps: 7\nnum_train_epochs: 2.0", { steps: 7 }],
    ["val_size: 200", { evalShare: 200 }],
    ["save_strategy: epoch\nsave_steps: 9", { saveEvery: "epoch" }],
    ["eval_strategy: epoch\neval_steps: 9", { evalEvery: "epoch" }],
    [
      "eval_strategy: epoch\nload_best_model_at_end: true\nmetric_for_best_model: eval_loss\n" +
      "greater_is_better: false\nearly_stopping_steps: 3",
      { evalEvery: "epoch", loadBestModelAtEnd: true, earlyStoppingPatience: 3 },
    ],
    [
      "lr_scheduler_type: cosine_with_min_lr\nlearning_rate: 2e-4\n" +
      "lr_scheduler_kwargs: {min_lr: 2e-6}",
      { lr: 2e-4, minLrRatio: 0.01 },
    ],
    ["lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs:\n  min_lr_rate: 0.3", {
      minLrRatio: 0.3,
    }],
    ["default_system: You are a pirate.", { defaultSystem: "You are a pirate." }],
    ["report_to: wandb\nmax_grad_norm: 1.0\nenable_thinking: false\nstreaming: true", {}],
    ["overwrite_output_dir: true\nresume_from_checkpoint: runs/checkpoint-5", {
      resume: "runs/checkpoint-5",
    }],
    ["warmup_steps: 0\nwarmup_ratio: 0.2", { warmupRatio: 0.2 }],
    ["max_steps: -1", {}],
    ["max_steps: 7", { steps: 7 }],
    ["adam_beta1: 0.8\nadam_beta2: 0.95\nadam_epsilon: 1e-6\nweight_decay: 0.1\nseed: 7", {
      beta1: 0.8,
      beta2: 0.95,
      adamEps: 1e-6,
      weightDecay: 0.1,
      seed: 7,
    }],
    ["pure_bf16: true\nbf16: false", {}],
    ["bf16: false\nfp16: false", { dtype: "float32" }],
    ["gradient_checkpointing: true", { activationCheckpointing: true }],
    ["disable_gradient_checkpointing: false", { activationCheckpointing: true }],
    ["save_total_limit: 5\nsave_strategy: steps\nsave_steps: 50", {
      keepCheckpoints: 5,
      saveEvery: 50,
    }],
    ['save_strategy: "no"\nsave_steps: 50', { saveEvery: 0 }],
    ["eval_strategy: no", { evalShare: 0 }],
    ["eval_strategy: no\nval_size: 0.2\neval_steps: 5", { evalShare: 0.2 }],
    ["evaluation_strategy: steps\nlogging_steps: 25", { evalEvery: 25 }],
    ["resume_from_checkpoint: true", { resume: "auto" }],
    ["resume_from_checkpoint: runs/checkpoint-5", { resume: "runs/checkpoint-5" }],
    ["resume_from_checkpoint: false", {}],
    ["neat_packing: true\npacking: true", {}],
    ["neat_packing: false", { packing: false }],
    ["train_on_prompt: true\nmask_history: false", { trainOnPrompt: true }],
    ["stage: pt\nreport_to: [none]\nlr_scheduler_kwargs: {}\nmax_grad_norm: 0.0", {}],
    ["template: default", {}],
    ["galore_target: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]", {}],
    ["optim: galore_adamw_8bit\ntrain_embeddings: false", {
      optimizer: "galore_adamw8bit",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
    }],
  ] as const
) {
  Deno.test(`LLaMA-Factory: ${lines.replaceAll("\n", ", ")}`, async () => {
    const { stochasticRound: _, ...options } = await optionsOf(`${MINIMAL}${lines}\n`);
    assertEquals(options, { ...REQUIRED, ...expected } as Values);
  });
}

Deno.test("an existing model is a folder, any other with one slash is on the hub", async () => {
  const model = async (value: string) =>
    (await optionsOf(`model_name_or_path: ${value}\ndata: d.json\noutput: o\n`)).model;
  assertEquals(await model("org/name"), "hf:org/name");
  assertEquals(await model("src/train"), "src/train");
  for (const path of ["./org/name", "/models/a/b", "a/b.gguf", "hf:org/name"]) {
    assertEquals(await model(path), path);
  }
});

Deno.test("stages and keys of pre-training", async () => {
  const text = `stage: pt
train_from_scratch: true
model_name_or_path: llama_60m
data: c4.jsonl
packing: false
max_steps: 20
output_dir: o
lr_scheduler_type: constant
`;
  const { options, err } = await run("pretrain", text);
  assert(options, err.join("\n"));
  const { model, packing, steps, warmupSteps, scheduler } = options;
  assertEquals([model, packing, steps, warmupSteps, scheduler], [
    ...["llama_60m", "padded", 20, 0, "constant"],
  ]);
  assertEquals(
    await faultsOf(`${text}cutoff_length: 9\nepochs: 3\n`, [], "pretrain"),
    [
      "run.yaml:9: cutoff_length: unknown key (did you mean cutoff_len?)",
      "run.yaml:10: epochs: unknown key",
    ],
  );
  const unlimited = text.replace("max_steps: 20\n", "");
  assertEquals(await faultsOf(`${unlimited}num_train_epochs: 3\n`, [], "pretrain"), [
    "run.yaml:8: num_train_epochs: this command has no option epochs",
  ]);
  const [sft] = await faultsOf(text.replace("pt", "sft"), [], "pretrain");
  assertStringIncludes(sft, "run.yaml:1: stage: must be pt");
});

Deno.test("a file of LLaMA-Factory for continued pre-training, with its own example's keys", async () => {
  // examples/train_lora/llama3_lora_pretrain.yaml, but for max_steps.
  const text = `model_name_or_path: meta-llama/Meta-Llama-3-8B-Instruct
stage: pt
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
data: c4_demo.json
cutoff_len: 2048
output_dir: saves/llama3-8b/lora/pretrain
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
max_steps: 100
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
`;
  const { options, err } = await run("pretrain", text);
  assert(options, err.join("\n"));
  const { from, model, optimizer, lr, steps, warmupSteps, seqLen, loraRank } = options;
  assertEquals([from, model, optimizer, lr, steps, warmupSteps, seqLen, loraRank], [
    ...["hf:meta-llama/Meta-Llama-3-8B-Instruct", undefined, "lora", 1e-4, 100, 10, 2048, 8],
  ]);
  // The same in full: every weight is trained anyway.
  const full = await run(
    "pretrain",
    text.replace("finetuning_type: lora\nlora_rank: 8\nlora_target: all", "finetuning_type: full"),
  );
  assertEquals(full.options?.optimizer, "adamw", full.err.join("\n"));
  const scratch = await run(
    "pretrain",
    `${text.replaceAll(/^(finetuning|lora_).*\n/gm, "")}train_from_scratch: true\n`,
  );
  assertEquals([scratch.options?.model, scratch.options?.from], [
    ...["hf:meta-llama/Meta-Llama-3-8B-Instruct", undefined],
  ], scratch.err.join("\n"));
  const memory = await run("memory", text);
  assertEquals(
    [memory.options?.from, memory.options?.finetune],
    [from, false],
    memory.err.join("\n"),
  );
  // A flag for one of the two ways to start overrides the other in the file.
  const flag = await run("pretrain", "from: ./a\ndata: d\noutput: o\n", ["--model", "llama_nano"]);
  assertEquals([flag.options?.model, flag.options?.from], ["llama_nano", undefined]);
});

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

Deno.test("a file that is not there: exit 1; --config without a value: exit 2", async () => {
  const error = await assertRejects(
    () => readConfigFile("/nowhere.yaml", finetuneOptions),
    UserError,
    "/nowhere.yaml: cannot be read",
  );
  assert(!(error instanceof OptionsError));
  const stderr: string[] = [];
  const code = await main(["finetune", "--config", "--lr", "1"], {
    stdout: () => {},
    write: () => {},
    stderr: (line) => stderr.push(line),
    interactive: false,
    signal: new AbortController().signal,
  });
  assertEquals([code, stderr[0].split("\n")[0]], [2, "--config: needs a value: --config <file>"]);
});

Deno.test("commands that train take --config and say so; others do not", async () => {
  for (const { name } of COMMANDS) {
    const out: string[] = [];
    await main([name, "--help"], {
      stdout: (line) => out.push(line),
      write: () => {},
      stderr: () => {},
      interactive: false,
      signal: new AbortController().signal,
    });
    const takes = ["pretrain", "finetune", "memory", "bench"].includes(name);
    assertEquals(out.join("\n").includes("--config <file>"), takes, name);
  }
  const { err, code } = await run("generate", "model: m\n", ["--prompt", "x"]);
  assertEquals([code, err[0]], [2, "--config: unknown flag"]);
});

Deno.test("memory plans the run of the file: its sizes, and no key of it is a fault", async () => {
  const text = MINIMAL.replace("m\n", "./m\n");
  const { options, err } = await run("memory", `${text}rank: 8\nepochs: 2\n`);
  assert(options, err.join("\n"));
  const finetune = finetuneOptions.parse(REQUIRED);
  assertEquals([options.finetune, options.batchSize, options.seqLen, options.rank], [
    ...[true, finetune.batchSize, finetune.seqLen, 8],
  ]);
  const pretrain = await run("memory", "model: llama_60m\ndata: d\noutput: o\n", [
    ...["--batch-size", "3"],
  ]);
  const { seqLen } = pretrainOptions.parse({ model: "llama_60m", data: ["d"], output: "o" });
  assertEquals(
    [pretrain.options?.finetune, pretrain.options?.batchSize, pretrain.options?.seqLen],
    [false, 3, seqLen],
  );
  const lora = await run("memory", `${text}finetuning_type: lora\nlora_rank: 4\n`);
  assertEquals([lora.options?.finetune, lora.options?.loraRank], [true, 4]);
  assertEquals(await faultsOf(`${text}epochz: 2\n`, [], "memory"), [
    "run.yaml:4: epochz: unknown key (did you mean epochs?)",
  ]);
});

Deno.test("a flag turns a file's training in full into another method", async () => {
  const text = `${MINIMAL}finetuning_type: full\n`;
  const embeddings = async (optimizer: string) =>
    (await run("finetune", text, ["--optimizer", optimizer])).options?.trainEmbeddings;
  assertEquals(await embeddings("q_galore_adamw8bit"), true);
  assertEquals(await embeddings("qlora"), false);
});

Deno.test("the library reads a file with overrides, and names options as it does", async () => {
  await withFile(`${MINIMAL}lr: 1e-3\n`, async (path) => {
    const options = await readConfigFile(path, finetuneOptions, { output: "elsewhere", steps: 3 });
    assertEquals([options.lr, options.output, options.steps], [0.001, "elsewhere", 3]);
    const error = await assertRejects(
      () => readConfigFile(path, finetuneOptions, { batchSize: 0 }),
      OptionsError,
    ) as OptionsError;
    assertEquals(error.message, "batchSize: must be at least 1, got 0");
  });
});

Deno.test("the examples are valid", async () => {
  const read = (name: string) => readConfigFile(EXAMPLES + name, finetuneOptions);
  const own = await read("alpaca_q_galore.yaml");
  assertEquals([own.optimizer, own.rank, own.lr, own.data], [
    ...["q_galore_adamw8bit", 128, 1e-4, ["hf:datasets/yahma/alpaca-cleaned"]],
  ]);
  const theirs = await read("llama_factory_galore.yaml");
  assertEquals([theirs.optimizer, theirs.rank, theirs.seqLen, theirs.weightQuant], [
    ...["q_galore_adamw8bit", 128, 1024, true],
  ]);
});

Deno.test("the table: every key once, renamed to options that exist, with reasons", () => {
  const tables = [READ, RENAMED, IGNORED, NOTED, ONLY];
  const keys = tables.flatMap((table) => Object.keys(table));
  assertEquals(keys.filter((key, index) => keys.indexOf(key) !== index), []);
  const fields = { ...finetuneOptions.fields, ...pretrainOptions.fields, ...memoryOptions.fields };
  for (const option of Object.values(RENAMED)) assert(option in fields, option);
  const reasons = [NOTED, ONLY].flatMap((table) => Object.values(table).map(([, why]) => why));
  for (const reason of [...Object.values(IGNORED), ...reasons]) assert(reason.length > 5);
});
