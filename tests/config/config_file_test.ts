/** Files of options, through the command line where it matters. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { COMMANDS, main } from "../../src/cli/main.ts";
import { readConfigFile } from "../../src/config/config_file.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { UserError } from "../../src/options/user_error.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { pretrainOptions } from "../../src/train/options.ts";
import { faultsOf, MINIMAL, optionsOf, REQUIRED, run, withFile } from "./support.ts";

const EXAMPLES = fromFileUrl(import.meta.resolve("../../examples/configs/"));

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

Deno.test("commands that train or compare take --config and say so; others do not", async () => {
  for (const { name } of COMMANDS) {
    const out: string[] = [];
    await main([...name.split(" "), "--help"], {
      stdout: (line) => out.push(line),
      write: () => {},
      stderr: () => {},
      interactive: false,
      signal: new AbortController().signal,
    });
    const takes = /^(pretrain|finetune|memory|bench|compare.*)$/.test(name);
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
