/** What is stopped can be used: a run's folder and its checkpoints in place of a model. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { ENTRIES_FILE } from "../../src/formats/checkpoint/manifest.ts";
import { readCheckpoint } from "../../src/formats/checkpoint/reader.ts";
import { findModel } from "../../src/formats/find_model.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { UserError } from "../../src/options/user_error.ts";
import { loadModelTokenizer, loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { saveCheckpointModel } from "../../src/train/checkpoint_model.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import type { PretrainOptions } from "../../src/train/options.ts";
import { assertRefusesAsync } from "../support_errors.ts";
import { DATA } from "../data/support.ts";
import { sharedGpu } from "../support.ts";
import { runFinetuning, runTraining, TINY, trainingTest, withWorkshop } from "./support.ts";

const BASE = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));
/** Of 500 tokens, more than the base has rows for. */
const TOKENIZER = DATA + "tokenizer-llama";
const FIRST = fromFileUrl(import.meta.resolve("../fixtures/checkpoints/first"));

/** Logits of a model for some bytes. */
async function logitsOf(gpu: Gpu, model: string, adapter?: string): Promise<Float32Array> {
  const loaded = await LlamaForCausalLM.fromPretrained(model, { gpu, adapter });
  const ids = [...new TextEncoder().encode("What is stopped can be used.")];
  const { logits } = await loaded.lossAndGradients(ids, ids, { batch: 1, length: ids.length });
  loaded.release();
  return logits;
}

/** Pre-training runs: their change of options, and whether the head is tied. */
const PRETRAINING: Record<string, { change: Record<string, unknown>; tied?: true }> = {
  "INT8 weights": { change: {} },
  "bfloat16 weights, tied": { change: { optimizer: "galore_adamw8bit" }, tied: true },
  float32: { change: { optimizer: "adamw", dtype: "float32" } },
};

for (const [name, { change, tied }] of Object.entries(PRETRAINING)) {
  trainingTest(
    `a stopped run of ${name} is opened as the model saved from it`,
    () =>
      withWorkshop(async ({ options, folder }) => {
        const run = options("run", { saveEvery: 4, ...change }), { output } = run;
        await runTraining(run, { until: 4 });
        assertEquals(await findModel(output), {
          model: join(output, "checkpoint-4"),
          adapter: undefined,
          note: `${output}: stopped at step 4 of 6; using checkpoint-4`,
        });
        const saved = join(folder, "saved");
        assertEquals(await saveCheckpointModel({ run: output, output: saved }), saved);
        const gpu = await sharedGpu();
        const logits = await logitsOf(gpu, output);
        assertEquals(logits, await logitsOf(gpu, saved));
        assert(logits.every(Number.isFinite));

        for (const file of ["config.json", "generation_config.json", "tokenizer.json"]) {
          assertEquals(
            await Deno.readFile(join(saved, file)),
            await Deno.readFile(join(output, "checkpoint-4", file)),
          );
        }
        assertEquals((await loadTokenizer(output)).encode("é"), [195, 169]);
      }, { ...TINY, tieWordEmbeddings: tied ?? false }),
  );
}

trainingTest(
  "the values are those of the formats' definitions, in the bytes of a finished run's model",
  () =>
    withWorkshop(async ({ options, folder }) => {
      const run = options("run"), saved = join(folder, "saved");
      await runTraining(run);
      const checkpoint = join(run.output, "checkpoint-6");
      await saveCheckpointModel({ run: checkpoint, output: saved });
      // The finished run wrote its model from the GPU.
      for (const file of await Array.fromAsync(Deno.readDir(saved), ({ name }) => name)) {
        const expected = await Deno.readFile(join(run.output, "model", file));
        if (file !== "README.md") assertEquals(await Deno.readFile(join(saved, file)), expected);
      }
      // Plain float64: value = (code − zero) · scale, groups of 64 over rows padded to 8 elements; the
      // last byte of a scale is its zero point.
      const name = "model.layers.1.mlp.down_proj.weight", rows = 40, columns = 109, stride = 112;
      const file = await readCheckpoint(checkpoint);
      const codes = await file.read(name), { buffer } = await file.read(`${name}.constants`);
      const scales = new Float32Array(buffer), zeros = new Uint32Array(buffer);
      using safetensors = await Safetensors.open(saved);
      const values = await safetensors.readFloat32(name);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const at = row * stride + column, group = Math.floor(at / 64);
          const exact = (codes[at] - (zeros[group] % 256)) * scales[group];
          const error = Math.abs(values[row * columns + column] - exact);
          // bfloat16 has 8 significant bits.
          assert(error <= Math.abs(exact) * 2 ** -8, `${row}, ${column}: ${error} of ${exact}`);
        }
      }
    }),
);

/** Fine-tuning runs, of a tied base with a vocabulary that is not all used. */
const FINETUNING: Record<string, Record<string, unknown>> = {
  "embedding and head as they were": { optimizer: "q_galore_adamw8bit", rank: 16 },
  "tokens added": {
    optimizer: "q_galore_adamw8bit",
    rank: 16,
    tokenizer: TOKENIZER,
    addTokens: ["<a>", "<b>"],
  },
  "whole, the best at the end": {
    optimizer: "galore_adamw8bit",
    rank: 16,
    trainEmbeddings: true,
    loadBestModelAtEnd: true,
    evalEvery: 2,
  },
  lora: { optimizer: "lora", loraDropout: 0.1 },
  "qlora, every target, tokens added": {
    optimizer: "qlora",
    loraTarget: ["all"],
    tokenizer: TOKENIZER,
    addTokens: ["<a>", "<b>"],
  },
};

for (const [name, change] of Object.entries(FINETUNING)) {
  trainingTest(
    `a stopped fine-tuning (${name}) is opened as what is saved from it`,
    () =>
      withWorkshop(async ({ folder }) => {
        const output = join(folder, "run"), saved = join(folder, "saved");
        const options = finetuneOptions.parse({
          model: BASE,
          tokenizer: "bytes",
          data: [join(folder, "text.txt")],
          output,
          batchSize: 2,
          seqLen: 24,
          steps: 6,
          warmupSteps: 0,
          saveEvery: 4,
          evalShare: change.evalEvery ? 0.02 : 0,
          lr: 3e-3,
          ...change,
        });
        await runFinetuning(options, { until: 4 });
        const { note, ...found } = await findModel(output);
        const checkpoint = join(output, "checkpoint-4"),
          isAdapter = "model" in found && found.adapter;
        assertEquals(
          found,
          isAdapter
            ? { model: BASE, adapter: checkpoint }
            : { model: checkpoint, adapter: undefined },
        );
        assertEquals(note, `${output}: stopped at step 4 of 6; using checkpoint-4`);
        await saveCheckpointModel({ run: output, output: saved });
        const gpu = await sharedGpu();
        const logits = await logitsOf(gpu, output);
        assertEquals(logits, await logitsOf(gpu, saved));
        assert(logits.every(Number.isFinite));
        // Training has changed it.
        assert(String(logits) !== String((await logitsOf(gpu, BASE)).subarray(0, logits.length)));
        if (isAdapter) assertEquals(logits, await logitsOf(gpu, BASE, output));

        const tokenizer = await loadModelTokenizer(output), added = options.addTokens?.[0] ?? "a";
        const plain = { addSpecialTokens: false }, ids = tokenizer.encode(added, plain);
        assertEquals(ids, (await loadTokenizer(saved)).encode(added, plain));
        assertEquals(ids.length, 1);
      }),
  );
}

trainingTest(
  "which folder of a run is taken, and what is said",
  () =>
    withWorkshop(async ({ options, folder }) => {
      const run = options("run"), { output } = run;
      await Deno.mkdir(output);
      await Deno.writeTextFile(join(output, "metrics.jsonl"), "");
      await assertRefusesAsync(
        () => findModel(output),
        UserError,
        `${output}: is the folder of a run that has saved nothing that can be used`,
      );
      await runTraining(run);
      const model = join(output, "model");
      assertEquals(await findModel(output), {
        model,
        adapter: undefined,
        note: `${output}: finished; using model`,
      });
      // Anything but a run's folder is left as it is.
      for (const path of [model, join(output, "checkpoint-6"), folder, "hf:org/name"]) {
        assertEquals(await findModel(path), { model: path, adapter: undefined, note: undefined });
      }
      const refused = (path: string, message: string) =>
        assertRefusesAsync(() => findModel(path), UserError, message);
      await refused(`${output}x`, `no such file or folder (did you mean ${output}?)`);
      await refused(join(output, "metrics.jsonl"), "metrics.jsonl: is a file of another kind");
      // The run goes on beyond its end, and is stopped.
      const longer: PretrainOptions = { ...run, steps: 9, resume: "auto" };
      const { events } = await runTraining(longer, { until: 7 });
      // The step after the one reported may have begun.
      const done = events.at(-1)!, last = `checkpoint-${"step" in done && done.step}`;
      assertMatch(last, /-[78]$/);
      assertEquals((await findModel(output)).model, join(output, last));
      // A damaged checkpoint is passed over, and named.
      const entries = join(output, last, ENTRIES_FILE);
      const { size } = await Deno.stat(entries);
      await Deno.truncate(entries, size - 1);
      const { note } = await findModel(output);
      assertEquals(note, `${output}: finished; using model (${last} is damaged)`);
      await assertRefusesAsync(
        () => findModel(BASE, output),
        UserError,
        `${output}: model in it is a model, not an adapter`,
      );
      // Damage that leaves the length: found as the weights are read.
      const whole = join(output, "checkpoint-6");
      const { manifest } = await readCheckpoint(whole);
      const norm = manifest.entries.find(({ name }) => name === "model.norm.weight")!;
      using opened = await Deno.open(join(whole, ENTRIES_FILE), { write: true });
      await opened.seek(norm.offset, Deno.SeekMode.Start);
      await opened.write(Uint8Array.of(1, 2, 3, 4));
      await assertRefusesAsync(
        () => saveCheckpointModel({ run: whole, output: join(folder, "saved") }),
        UserError,
        "model.norm.weight",
      );
    }),
);

trainingTest("a checkpoint of the first version: its weights, and what it lacks", async () => {
  const gpu = await sharedGpu();
  assertEquals((await logitsOf(gpu, FIRST)).every(Number.isFinite), true);

  await assertRefusesAsync(() => loadTokenizer(FIRST), UserError, "holds no tokenizer");
  const output = await Deno.makeTempDir();
  try {
    await assertRefusesAsync(
      () => saveCheckpointModel({ run: FIRST, output }),
      UserError,
      "holds no config.json: an earlier version",
    );
    assertStringIncludes(FIRST, "first");
  } finally {
    await Deno.remove(output, { recursive: true });
  }
});
