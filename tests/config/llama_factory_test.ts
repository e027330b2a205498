/** LLaMA-Factory's files: its published examples, and what each key means here. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { IGNORED, NOTED, ONLY, RENAMED } from "../../src/config/llama_factory/keys.ts";
import { READ } from "../../src/config/llama_factory/values.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { faultsOf, MINIMAL, optionsOf, REQUIRED, run, type Values } from "./support.ts";

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
      "lora_target: q_proj,v_proj\nuse_rslora: true\nuse_dora: true\n" +
      "loraplus_lr_ratio: 16.0\nneftune_noise_alpha: 5\n",
      {
        optimizer: "lora",
        weightQuant: false,
        projQuant: false,
        embeddingQuant: false,
        loraRank: 4,
        loraAlpha: 9,
        loraDropout: 0.1,
        useRslora: true,
        useDora: true,
        loraplusLrRatio: 16,
        neftuneNoiseAlpha: 5,
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
      "finetuning_type: full\nuse_galore: true\ngalore_layerwise: false\n" +
      "galore_target: mlp,self_attn\ngalore_rank: 128\ngalore_scale: 2.0\n" +
      "galore_update_interval: 50\n",
      {
        optimizer: "galore_adamw",
        weightQuant: false,
        projQuant: false,
        embeddingQuant: false,
        rank: 128,
        galoreScale: 2,
        layerwise: false,
        updateProjGap: 50,
        trainEmbeddings: true,
      },
    ],
    [
      "apollo",
      "finetuning_type: full\nuse_apollo: true\napollo_layerwise: true\napollo_target: all\n" +
      "apollo_rank: 128\napollo_scale: 32.0\napollo_scale_type: channel\napollo_proj: random\n" +
      "apollo_update_interval: 100\napollo_proj_type: std\napollo_scale_front: true\n",
      {
        optimizer: "apollo",
        weightQuant: false,
        projQuant: false,
        embeddingQuant: false,
        rank: 128,
        apolloScale: 32,
        updateProjGap: 100,
        trainEmbeddings: true,
      },
    ],
    [
      "apollo-mini",
      "finetuning_type: full\nuse_apollo: true\napollo_scale_type: tensor\noptim: adamw_torch\n",
      {
        optimizer: "apollo_mini",
        weightQuant: false,
        projQuant: false,
        embeddingQuant: false,
        apolloScale: 128,
        trainEmbeddings: true,
      },
    ],
    [
      "q-apollo beside use_apollo",
      "finetuning_type: full\nuse_apollo: true\noptim: adamw_8bit\noptimizer: q_apollo\n" +
      "train_embeddings: false\n",
      { optimizer: "q_apollo", projQuant: false },
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
max_grad_norm: 0.5
enable_thinking: true
tool_format: glm4
`;
  const { options, err } = await run("finetune", text);
  assert(options, err.join("\n"));
  assertEquals(options.maxGradNorm, 0.5);
  assertEquals(err, [
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

// The defaults of LLaMA-Factory's finetuning_args.py, and transformers' of max_grad_norm.
for (
  const [command, lines, left] of [
    ["pretrain", "stage: pt", "max_grad_norm (1 in LLaMA-Factory)"],
    ["pretrain", "stage: pt\nmax_grad_norm: 0", ""],
    [
      "finetune",
      "use_galore: true",
      "galore_rank (16 in LLaMA-Factory), galore_scale (2 in LLaMA-Factory)",
    ],
    [
      "finetune",
      "use_apollo: true",
      "apollo_rank (16 in LLaMA-Factory), apollo_scale (32 in LLaMA-Factory)",
    ],
    ["finetune", "use_apollo: true\napollo_rank: 4\napollo_scale: 1", ""],
  ] as const
) {
  Deno.test(`LLaMA-Factory: defaults that a ${command} file leaves to ${lines.replaceAll("\n", ", ")}`, async () => {
    const text = `model_name_or_path: m\ndata: d\noutput_dir: o\nfinetuning_type: full
cutoff_len: 8\nper_device_train_batch_size: 1\nlearning_rate: 1e-4\nlr_scheduler_type: cosine
warmup_steps: 1\npacking: true\nval_size: 0.1\nmax_steps: 9\n${lines}\n`;
    const { options, err } = await run(command, text);
    assert(options, err.join("\n"));
    const expected = `note: run.yaml: left out, with defaults of this program: ${left}`;
    assertEquals(err.filter((line) => line.includes("left out")), left ? [expected] : []);
  });
}

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
    ["report_to: wandb\nmax_grad_norm: 0.3\nenable_thinking: false\nstreaming: true", {
      maxGradNorm: 0.3,
    }],
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
    ["stage: pt\nreport_to: [none]\nlr_scheduler_kwargs: {}\nmax_grad_norm: 0.0", {
      maxGradNorm: 0,
    }],
    ["template: default", {}],
    ["galore_target: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]", {}],
    ["optim: apollo_adamw\noptim_args: proj=random,rank=1,scale=64.0,scale_type=tensor", {
      optimizer: "apollo_mini",
      weightQuant: false,
      projQuant: false,
      embeddingQuant: false,
      rank: 1,
      apolloScale: 64,
    }],
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

Deno.test("a flag turns a file's training in full into another method", async () => {
  const text = `${MINIMAL}finetuning_type: full\n`;
  const embeddings = async (optimizer: string) =>
    (await run("finetune", text, ["--optimizer", optimizer])).options?.trainEmbeddings;
  assertEquals(await embeddings("q_galore_adamw8bit"), true);
  assertEquals(await embeddings("qlora"), false);
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
