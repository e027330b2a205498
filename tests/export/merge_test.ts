/** A merged model against its base with the adapter applied, and what is kept or refused. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import {
  createMergeWorkspace,
  type LowRankUpdate,
  mergeRows,
  uploadFactors,
} from "../../src/model/merge_lora.ts";
import { readLlamaConfig } from "../../src/formats/hf_config.ts";
import { mergeAdapter, type MergeOptions } from "../../src/export/merge.ts";
import { saveAdapter, saveAdapterConfig } from "../../src/formats/peft/save.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { UserError } from "../../src/options/user_error.ts";
import { Scope } from "../../src/gpu/scope.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { packTensor } from "../../src/numbers/plain.ts";
import type { LoraShape } from "../../src/model/lora_shape.ts";
import { createParameters } from "../../src/model/parameters.ts";
import { adapterCase, assertCloseToLargest, readBatch } from "../model/support_lora.ts";
import { assertClose, gpuTest, randomNormal, rounded } from "../support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures/"));

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function readJson(...path: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await Deno.readTextFile(join(...path)));
}

/** Options that merge a case of tests/golden/make_lora.py. */
async function optionsOf(
  name: string,
  output: string,
  change: Partial<MergeOptions> = {},
): Promise<MergeOptions> {
  const { adapter, base } = await adapterCase(name);
  return { model: base, adapter, output, dtype: "keep", ...change };
}

const MERGED = [
  ...["llama-all-r4", "qwen2-all-r8", "qwen2-qv-r4-rslora", "odd-all-r5"],
  ...["odd-patterns", "odd-vocabulary", "tied-vocabulary", "odd-whole", "tied-whole"],
  ...["tied-whole-embedding", "tied-bias-all", "tied-tokens", "odd-tokens-head", "odd-resized"],
  ...["tied-resized", "odd-dora", "tied-dora"],
];

for (const name of MERGED) {
  gpuTest(
    `${name}: the merged model computes what peft does with the adapter`,
    (gpu) =>
      withFolder(async (folder) => {
        const options = await optionsOf(name, join(folder, "merged"));
        const before = gpu.account.live;
        await mergeAdapter(gpu, options);
        assertEquals(gpu.account.live, before);
        using expected = await Safetensors.open(`${options.adapter}/expected.safetensors`);
        const { inputIds, labels, shape } = await readBatch(expected);
        const model = await LlamaForCausalLM.fromPretrained(options.output, { gpu });
        const { logits, loss } = await model.lossAndGradients(inputIds, labels, shape);
        // Sums in another order, and weights rounded once more: as in lora_test.ts.
        assertCloseToLargest("logits", logits, await expected.readFloat32("logits"), 1e-4);
        assertClose("loss", [loss], await expected.readFloat32("loss"), { atol: 0, rtol: 1e-5 });
        model.release();
      }),
  );
}

gpuTest(
  "W + α/r·B·A to rounding, everything else to the bit",
  (gpu) =>
    withFolder(async (folder) => {
      const options = await optionsOf("llama-qv-r8", join(folder, "merged"));
      const shares: number[] = [];
      const result = await mergeAdapter(gpu, {
        ...options,
        onProgress: (share) => shares.push(share),
      });
      assertEquals(result, { merged: 6, dtype: "float32", tokenizer: false, warnings: [] });
      assertEquals(shares.at(-1), 1);
      using base = await Safetensors.open(options.model);
      using merged = await Safetensors.open(options.output);
      using factors = await Safetensors.open(join(options.adapter!, "adapter_model.safetensors"));
      assertEquals([...merged.tensors.keys()].sort(), [...base.tensors.keys()].sort());
      for (const [name, { shape: [out, inner] }] of base.tensors) {
        if (!/[qv]_proj/.test(name)) {
          assertEquals(await merged.read(name), await base.read(name), name);
          continue;
        }
        const factor = (which: string) =>
          factors.readFloat32(
            `base_model.model.${name.replace(".weight", "")}.lora_${which}.weight`,
          );
        const [w, a, b] = [await base.readFloat32(name), await factor("A"), await factor("B")];
        const expected = w.map((value, at) => {
          const row = Math.floor(at / inner), column = at % inner;
          let sum = 0;
          for (let i = 0; i < 8; i++) sum += b[row * 8 + i] * a[i * inner + column];
          return value + (16 / 8) * sum;
        });
        assertEquals(expected.length, out * inner);
        // float32: nine roundings of numbers below 1
        assertClose(name, await merged.readFloat32(name), expected, { atol: 5e-7, rtol: 0 });
      }
    }),
);

gpuTest("formats: as asked for, or the file's own", (gpu) =>
  withFolder(async (folder) => {
    const [full, half, kept] = ["full", "half", "kept"].map((name) => join(folder, name));
    await mergeAdapter(gpu, await optionsOf("odd-all-r5", full));
    const asked = await optionsOf("odd-all-r5", half, { dtype: "bfloat16" });
    assertEquals((await mergeAdapter(gpu, asked)).dtype, "bfloat16");
    using exact = await Safetensors.open(full);
    using halves = await Safetensors.open(half);
    for (const [name, { dtype }] of halves.tensors) {
      assertEquals(dtype, "BF16");
      const values = await exact.readFloat32(name);
      assertEquals(await halves.readFloat32(name), rounded(values, "bfloat16"), name);
    }
    // The merged model as a base: its format is kept.
    const again = await optionsOf("odd-all-r5", kept, { model: half });
    assertEquals((await mergeAdapter(gpu, again)).dtype, "bfloat16");
    using twice = await Safetensors.open(kept);
    assertEquals(new Set([...twice.tensors.values()].map(({ dtype }) => dtype)), new Set(["BF16"]));
    for (const name of ["model.norm.weight", "lm_head.weight"]) {
      assertEquals(await twice.read(name), await halves.read(name), name);
    }
    assertEquals((await readJson(kept, "config.json")).dtype, "bfloat16");
  }));

gpuTest(
  "config.json, generation_config.json, tokenizer and chat template are kept",
  (gpu) =>
    withFolder(async (folder) => {
      const { adapter, base } = await adapterCase("llama-qv-r8");
      const copy = async (from: string, to: string, change: Record<string, string> = {}) => {
        await Deno.mkdir(to);
        for await (const { name } of Deno.readDir(from)) {
          await Deno.copyFile(join(from, name), join(to, name));
        }
        for (const [name, text] of Object.entries(change)) {
          await Deno.writeTextFile(join(to, name), text);
        }
      };
      const [model, tuned, output] = ["model", "tuned", "merged"].map((name) => join(folder, name));
      const config: Record<string, unknown> = {
        ...await readJson(base, "config.json"),
        of_nobodys_concern: [1],
      };
      await copy(base, model, {
        "config.json": JSON.stringify(config),
        "generation_config.json": '{ "temperature": 0.3 }',
        "chat_template.jinja": "of the model",
      });
      for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
        await Deno.copyFile(join(FIXTURES, "data/tokenizer-gpt2", name), join(model, name));
      }
      await copy(adapter, tuned, { "chat_template.jinja": "of the adapter" });
      const options = { model, adapter: tuned, output, dtype: "keep" } as const;
      assertEquals((await mergeAdapter(gpu, options)).tokenizer, true);
      // The model's own end of a text, and that of its tokenizer.
      const eos_token_id = [config.eos_token_id, (await loadTokenizer(model)).eosTokenId];
      assertEquals(await readJson(output, "config.json"), {
        ...config,
        torch_dtype: "float32",
        eos_token_id,
      });
      const text = (name: string) => Deno.readTextFile(join(output, name));
      assertEquals(await readJson(output, "generation_config.json"), {
        temperature: 0.3,
        eos_token_id,
      });
      assertEquals(await text("chat_template.jinja"), "of the adapter");
      const { chat_template } = await readJson(output, "tokenizer_config.json");
      assertEquals(chat_template, "of the adapter");
      assertMatch(await text("README.md"), /merged[^]*\| Adapter \| tuned \|/);
      assertEquals(
        await text("tokenizer.json"),
        await Deno.readTextFile(join(model, "tokenizer.json")),
      );
    }),
);

gpuTest("a GGUF file as the base", (gpu) =>
  withFolder(async (folder) => {
    const model = `${FIXTURES}gguf/llama.gguf`, adapter = join(folder, "adapter");
    const output = join(folder, "merged");
    using source = await openPretrained(model);
    const lora: LoraShape = { rank: 4, alpha: 8, targets: ["q_proj", "down_proj"] };
    const scope = new Scope(gpu);
    const parameters = createParameters(scope, source.config, {
      weights: "float32",
      groupSize: 256,
      embeddings: "float32",
      trained: "adapters",
      lora,
    });
    for (const { kind, shape, weight, index } of parameters.all) {
      if (kind !== "adapter") continue;
      gpu.write(weight, packTensor(weight, randomNormal(shape[0] * shape[1], index, 0.1)));
    }
    await Deno.mkdir(adapter);
    await saveAdapter(gpu, parameters, adapter);
    await saveAdapterConfig(parameters, adapter, { lora, dropout: 0, base: model });
    scope.release();
    const result = await mergeAdapter(gpu, { model, adapter, output, dtype: "float32" });
    assertEquals(result.tokenizer, true);
    assertEquals(await readLlamaConfig(output), source.config);

    const { vocabSize } = source.config;
    const ids = randomNormal(12, 1).map((value) => Math.floor(Math.abs(value) * 97) % vocabSize);
    const run = async (path: string, adapter?: string) => {
      const model = await LlamaForCausalLM.fromPretrained(path, {
        gpu,
        adapter,
        weights: "float32",
      });
      const { logits } = await model.lossAndGradients(ids, ids, { batch: 1, length: 12 });
      model.release();
      return logits;
    };
    assertCloseToLargest("logits", await run(output), await run(model, adapter), 1e-4);
  }));

gpuTest(
  "a head that differs from a tied embedding is merged, and warned about",
  (gpu) =>
    withFolder(async (folder) => {
      const model = `${FIXTURES}lenient/tied_other_head`, adapter = join(folder, "adapter");
      using source = await openPretrained(model);
      const lora: LoraShape = { rank: 4, alpha: 8, targets: ["q_proj"] };
      const scope = new Scope(gpu);
      const format = { weights: "float32", groupSize: 256, embeddings: "float32" } as const;
      const parameters = createParameters(scope, source.config, {
        ...format,
        trained: "adapters",
        lora,
      });
      await Deno.mkdir(adapter);
      await saveAdapter(gpu, parameters, adapter);
      await saveAdapterConfig(parameters, adapter, { lora, dropout: 0, base: model });
      scope.release();
      const output = join(folder, "merged");
      const { warnings } = await mergeAdapter(gpu, { model, adapter, output, dtype: "keep" });
      assertMatch(warnings.join(), /lm_head.weight differs from it/);
      using merged = await Safetensors.open(output);
      const head = "lm_head.weight";
      assertEquals(await merged.readFloat32(head), await source.weights.readFloat32(head));
      assertEquals((await readJson(output, "config.json")).tie_word_embeddings, false);
    }),
);

gpuTest(
  "what would destroy or mix models is refused, and leaves nothing",
  (gpu) =>
    withFolder(async (folder) => {
      const output = join(folder, "merged");
      const refused = async (change: Partial<MergeOptions>, message: string) => {
        const options = await optionsOf("llama-qv-r8", output, change);
        await assertRejects(() => mergeAdapter(gpu, options), UserError, message);
      };
      const { base, adapter } = await adapterCase("llama-qv-r8");
      await refused({ output: base }, "llama-gqa-tied already holds config.json");
      const notes = join(folder, "notes");
      await Deno.mkdir(notes);
      await Deno.writeTextFile(join(notes, "README.md"), "mine");
      await refused({ output: notes }, "notes already holds README.md");
      assertEquals(await Deno.readTextFile(join(notes, "README.md")), "mine");
      await refused({ output: adapter }, "llama-qv-r8 already holds adapter_model.safetensors");
      const other = await adapterCase("qwen2-all-r8");
      await refused({ model: other.base }, "does not fit the model");
      await refused({ adapter: folder }, "adapter_config.json: cannot be read");
      const longer = join(folder, "longer");
      await Deno.mkdir(longer);
      for await (const { name } of Deno.readDir(adapter)) {
        await Deno.copyFile(join(adapter, name), join(longer, name));
      }
      const tokenizer = await readJson(FIXTURES, "data/tokenizer-gpt2/tokenizer.json");
      const content = "<|end|>";
      const added = [...tokenizer.added_tokens as unknown[], {
        ...(tokenizer.added_tokens as object[])[0],
        id: 1000,
        content,
      }];
      const texts = {
        tokenizer: { ...tokenizer, added_tokens: added },
        tokenizer_config: { eos_token: content },
      };
      for (const [name, json] of Object.entries(texts)) {
        await Deno.writeTextFile(join(longer, `${name}.json`), JSON.stringify(json));
      }
      await refused({ adapter: longer }, "its tokenizer ends turns with token");
      await Deno.writeTextFile(join(folder, "file"), "");
      await refused({ output: join(folder, "file") }, "file: is a file");
      assertEquals(await Deno.stat(output).catch(() => "none"), "none");
      const aborted = await optionsOf("llama-qv-r8", output, { signal: AbortSignal.abort() });
      await assertRejects(() => mergeAdapter(gpu, aborted), DOMException);
      assertEquals(await Array.fromAsync(Deno.readDir(output)), []);
    }),
);

gpuTest("rows from the middle of a matrix, of a rank that needs padding", async (gpu) => {
  const scope = new Scope(gpu);
  // up_proj of `odd`: 109 rows of 40, in blocks of 64 and 45; beside a smaller one
  const update: LowRankUpdate = { out: 109, inner: 40, rank: 5, scale: 16 / 5 };
  const { out, inner, rank } = update;
  const updates = [update, { ...update, out: 24, inner: 48 }];
  const workspace = createMergeWorkspace(scope, gpu.capabilities, updates, () => 64);
  const a = randomNormal(rank * inner, 1), b = randomNormal(out * rank, 2);
  const w = randomNormal(out * inner, 3);
  uploadFactors(gpu, workspace, update, { left: b, right: a });
  for (const [start, end] of [[64, 109], [0, 64]]) {
    const values = w.slice(start * inner, end * inner);
    const expected = values.map((value, at) => {
      const row = start + Math.floor(at / inner);
      let sum = 0;
      for (let i = 0; i < rank; i++) sum += b[row * rank + i] * a[i * inner + at % inner];
      return value + (16 / 5) * sum;
    });
    const actual = await mergeRows(gpu, workspace, { update, start, values });
    // float32: six roundings of numbers of some 10
    assertClose("rows", actual, expected, { atol: 1e-5, rtol: 1e-6 });
  }
  scope.release();
});
