/** The commands on real files, through the command line. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { main } from "../../src/cli/main.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { trainingTest, withWorkshop } from "../train/support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/models/"));

async function run(...args: string[]) {
  const out: string[] = [], err: string[] = [];
  const code = await main(args, {
    stdout: (line) => out.push(line),
    stderr: (line) => err.push(line),
    write: (piece) => out.push(piece),
    interactive: false,
    signal: new AbortController().signal,
  });
  return { code, stdout: out.join("\n"), stderr: err.join("\n") };
}

trainingTest("dump writes the logits, loss and gradients of PyTorch", async () => {
  const folder = await Deno.makeTempDir();
  const output = join(folder, "out.safetensors");
  const inputs = `${FIXTURES}llama-mha/expected.safetensors`;
  const { code } = await run(
    ...["dump", "--model", `${FIXTURES}llama-mha`, "--inputs", inputs],
    ...["--output", output, "--gradients"],
  );
  assertEquals(code, 0);
  using actual = await Safetensors.open(output);
  using expected = await Safetensors.open(inputs);
  const wanted = [...expected.tensors.keys()].filter((name) => !/^(input_ids|labels)$/.test(name));
  assertEquals([...actual.tensors.keys()].sort(), wanted.sort());
  for (const name of wanted) {
    const a = await actual.readFloat32(name), b = await expected.readFloat32(name);
    const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const worst = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
    assert(worst <= 1e-4 * largest, `${name}: off by ${worst} of ${largest}`);
  }
  await Deno.remove(folder, { recursive: true });
});

trainingTest(
  "memory plans what pretrain then allocates; eval and generate take its model",
  () =>
    withWorkshop(async ({ folder }) => {
      const text = join(folder, "text.txt"), output = join(folder, "run");
      const sizes = [
        "--model",
        join(folder, "config.json"),
        "--batch-size",
        "3",
        "--seq-len",
        "20",
      ];
      const rank = ["--rank", "24", "--optimizer", "galore_adamw_8bit"];
      const memory = await run("memory", ...sizes, ...rank, "--json");
      const tried = await run("memory", ...sizes, ...rank, "--allocate", "--json");
      const told = await run("memory", ...sizes, ...rank, "--allocate");
      const data = ["--data", text, "--output", output, "--eval-share", "0.05"];
      const trained = await run("pretrain", ...sizes, ...rank, ...data, "--steps", "2");
      assertEquals([memory.code, trained.code], [0, 0], trained.stderr);
      const summary = JSON.parse(await Deno.readTextFile(join(output, "summary.json")));
      const plan = JSON.parse(memory.stdout);
      assertEquals(plan.planned_peak_bytes, summary.gpu_peak_bytes);
      assertStringIncludes(trained.stderr, "step 2/2");
      const trial = JSON.parse(tried.stdout);
      assertEquals(trial.gpu_peak_bytes, summary.gpu_peak_bytes);
      assertEquals(trial.adapter, summary.adapter);
      assert(trial.process_bytes > 1 << 20 && trial.seconds.refreshing_step > 0);
      assertEquals(Object.keys(trial.seconds), [
        "allocating",
        "compiling",
        "refreshing_step",
        "step",
      ]);
      const exact = `(${summary.gpu_peak_bytes} bytes)`;
      for (const words of [`fits on ${summary.adapter}. `, exact, "\none-layer step  "]) {
        assertStringIncludes(told.stdout, words);
      }
      const both = await run("memory", ...sizes, ...rank, "--allocate", "--fit", "8");
      assertEquals([both.code, both.stdout], [2, ""]);
      assertStringIncludes(both.stderr, "--allocate: tries one plan");

      const model = ["--model", join(output, "model")];
      const evaluated = await run("eval", ...model, "--data", text, "--seq-len", "64", "--json");
      assertEquals(evaluated.code, 0, evaluated.stderr);
      const { loss, perplexity, tokens } = JSON.parse(evaluated.stdout);
      // One target per byte except the first, and end-of-text.
      assertEquals(tokens, (await Deno.readFile(text)).length);
      assert(Math.abs(Math.exp(loss) / perplexity - 1) < 1e-9 && loss > 3 && loss < 6, `${loss}`);

      const args = [...model, "--prompt", "The", "--max-new-tokens", "5", "--temperature", "0"];
      const generated = await run("generate", ...args, "--json");
      assertEquals(generated.code, 0, generated.stderr);
      const made = JSON.parse(generated.stdout);
      assertEquals(made.token_ids.length <= 5 && typeof made.text === "string", true);
    }),
);

trainingTest("bench refuses a filter that selects nothing, and names the benchmarks", async () => {
  const { code, stdout, stderr } = await run("bench", "--filter", "sfotmax");
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "--filter");
  for (const name of ["attention_backward", "rms_norm", "step"]) assertStringIncludes(stderr, name);
});

trainingTest("memory shows a table, and which cards a 7B fits", async () => {
  const { code, stdout } = await run(
    ...["memory", "--model", "llama_7b", "--rank", "1024", "--batch-size", "1"],
    ...["--seq-len", "256", "--activation-checkpointing"],
  );
  assertEquals(code, 0);
  for (const words of ["optimizer state", "full adamw", "8 GB no", "16 GB yes", "24 GB yes"]) {
    assertStringIncludes(stdout, words);
  }
  const sizes = ["--model", "llama_9m", "--seq-len", "256", "--fit", "1"];
  const table = await run("memory", ...sizes, "--optimizer", "adamw8bit");
  const rows = await run("memory", ...sizes, "--optimizer", "adamw8bit", "--json");
  const [{ options, allocated_bytes }] = rows.stdout.trim().split("\n").map((each) =>
    JSON.parse(each)
  );
  assert(allocated_bytes <= 2 ** 29, "all but half a GiB");
  assertStringIncludes(table.stdout, `--optimizer adamw8bit --activation-checkpointing`);
  assertStringIncludes(table.stdout, `  ${options.batch_size}\n`);
  const none = ["--model", "llama_7b", "--seq-len", "256", "--fit", "2", "--optimizer", "adamw"];
  assertEquals((await run("memory", ...none)).code, 1);
});

for (
  const [what, args, message] of [
    ["no model there", ["eval", "--model", "/nowhere", "--data", "x.txt"], "/nowhere"],
    [
      "no data there",
      ["pretrain", "--model", "llama_nano", "--data", "/nowhere.txt"],
      "/nowhere.txt",
    ],
    [
      "a GPU too small",
      ["pretrain", "--model", "llama_7b", "--gpu-memory", "8"],
      "these settings fit",
    ],
  ] as const
) {
  trainingTest(`${what}: one message, no stack, exit 1`, () =>
    withWorkshop(async ({ folder }) => {
      const output = args[0] === "pretrain" ? ["--output", join(folder, "run")] : [];
      const data = (args as readonly string[]).includes("--data")
        ? []
        : ["--data", join(folder, "text.txt")];
      const { code, stderr } = await run(...args, ...output, ...data);
      assertEquals(code, 1);
      assertStringIncludes(stderr, message);
      assert(!/\n\s+at /.test(stderr), stderr);
    }));
}
