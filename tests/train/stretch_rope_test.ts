/** RoPE scaled for a run, by the factor of LLaMA-Factory's `rope_scaling` (model/model_utils/rope.py). */
import { assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { readLlamaConfig } from "../../src/formats/hf_config.ts";
import { PRESETS } from "../../src/model/config.ts";
import { longestSequence } from "../../src/model/rope_scaling.ts";
import { OptionsError } from "../../src/options/faults.ts";
import { UserError } from "../../src/options/user_error.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { stretchRope } from "../../src/train/stretch_rope.ts";
import { runFinetuning, trainingTest } from "./support.ts";

/** Its RoPE is scaled; the run's base is the same without. */
const WEIGHTS = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));
const MODEL = PRESETS.llama_9m; // 1,024 positions

Deno.test("ropeScaling: the factor is the length over the positions, rounded up", () => {
  for (const [seqLen, factor] of [[1025, 2], [2048, 2], [2049, 3], [4096, 4]]) {
    const linear = stretchRope(MODEL, { seqLen, ropeScaling: "linear" }, "m");
    assertEquals(linear, {
      ...MODEL,
      maxPositions: 1024 * factor,
      ropeScaling: { type: "linear", factor },
    });
    const yarn = stretchRope(MODEL, { seqLen, ropeScaling: "yarn" }, "m");
    assertEquals([yarn.maxPositions, longestSequence(yarn)], [1024 * factor, 1024 * factor]);
    assertEquals(yarn.ropeScaling, {
      type: "yarn",
      factor,
      originalMaxPositions: 1024,
      attentionFactor: 0.1 * Math.log(factor) + 1,
      betaFast: 32,
      betaSlow: 1,
      truncate: true,
    });
    // transformers 5 begins dynamic scaling at max_position_embeddings.
    const dynamic = stretchRope(MODEL, { seqLen, ropeScaling: "dynamic" }, "m");
    assertEquals(dynamic, { ...MODEL, ropeScaling: { type: "dynamic", factor } });
    assertEquals(longestSequence(dynamic), 1024 * factor);
  }
});

Deno.test("ropeScaling: without effect, without need or twice is refused", () => {
  const refuse = (config: typeof MODEL, options: Parameters<typeof stretchRope>[1], text: string) =>
    assertThrows(() => stretchRope(config, options, "m"), UserError, text);
  refuse(MODEL, { seqLen: 1025 }, "seqLen: 1025 exceeds the 1024 positions of m");
  refuse(
    MODEL,
    { seqLen: 1024, ropeScaling: "yarn" },
    'ropeScaling: "yarn" has no effect: seqLen: 1024 is within the 1024 positions of m',
  );
  refuse(
    stretchRope(MODEL, { seqLen: 2048, ropeScaling: "linear" }, "m"),
    { seqLen: 4096, ropeScaling: "yarn" },
    "the RoPE of m is already scaled (linear)",
  );
  const options = {
    model: WEIGHTS,
    data: ["x"],
    output: "o",
    optimizer: "lora",
    ropeScaling: "yarn",
  };
  assertThrows(
    () => finetuneOptions.parseUnknown(options),
    OptionsError,
    "ropeScaling: cannot be saved with the adapters of lora",
  );
});

trainingTest(
  "ropeScaling: a run beyond the positions trains, and its model keeps them",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const data = join(folder, "train.jsonl");
      await Deno.writeTextFile(
        data,
        Array.from(
          { length: 4 },
          (_, i) => JSON.stringify({ prompt: `${i}: `, completion: `word${i} `.repeat(30) }),
        ).join("\n"),
      );
      const model = join(folder, "base");
      const own = JSON.parse(await Deno.readTextFile(`${WEIGHTS}/config.json`));
      await Deno.mkdir(model);
      await Deno.copyFile(`${WEIGHTS}/model.safetensors`, join(model, "model.safetensors"));
      await Deno.writeTextFile(
        join(model, "config.json"),
        JSON.stringify({
          ...own,
          rope_parameters: { rope_type: "default", rope_theta: 500 },
          rope_scaling: null,
          max_position_embeddings: 128,
        }),
      );
      await runFinetuning(finetuneOptions.parse({
        model,
        tokenizer: "bytes",
        data: [data],
        output: join(folder, "run"),
        optimizer: "adamw",
        batchSize: 1,
        evalShare: 0,
        steps: 1,
        seqLen: 129,
        ropeScaling: "yarn",
      }));
      const saved = JSON.parse(await Deno.readTextFile(join(folder, "run/model/config.json")));
      assertEquals(saved.max_position_embeddings, 256);
      // As LLaMA-Factory writes it, and transformers' defaults.
      const scaling = {
        rope_type: "yarn",
        factor: 2,
        original_max_position_embeddings: 128,
        beta_fast: 32,
        beta_slow: 1,
      };
      assertEquals(saved.rope_scaling, scaling);
      assertEquals(saved.rope_parameters, { ...scaling, rope_theta: 500 });
      assertEquals(
        longestSequence(await readLlamaConfig(join(folder, "run/model"))),
        256,
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
