/** Added tokens, embeddings beside adapters, and adapters that are trained further. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { openAdapted } from "../../src/formats/peft/adapted_model.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { LlamaForCausalLM } from "../../src/inference/llama_for_causal_lm.ts";
import { mergeAdapter } from "../../src/export/merge.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { loadTokenizer } from "../../src/tokenizers/load_tokenizer.ts";
import type { EvalEvent } from "../../src/train/events.ts";
import { type FinetuneOptions, finetuneOptions } from "../../src/train/finetune_options.ts";
import { finetuneRecipe } from "../../src/train/finetune_recipe.ts";
import { adapterCase } from "../model/support_lora.ts";
import { DATA } from "../data/support.ts";
import { sharedGpu } from "../support.ts";
import { runFinetuning, saveBase, TINY, trainingTest } from "./support.ts";

const TOKENIZER = DATA + "tokenizer-llama", TOKENS = ["<|im_start|>", "<|im_end|>"];
/** Of the tokenizer, without and with the tokens. */
const OLD = 500, NEW = 502;

interface Bench {
  readonly folder: string;
  readonly base: string;
  options(name: string, change?: Record<string, unknown>): FinetuneOptions;
}

/** A model of random weights with a tokenizer that has no tokens for turns, and some dialogues. */
async function withBench(tied: boolean, run: (bench: Bench) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir(), base = join(folder, "base");
  try {
    await Deno.mkdir(base);
    await saveBase(base, { ...TINY, vocabSize: OLD, tieWordEmbeddings: tied });
    await (await loadTokenizer(TOKENIZER)).save(base);
    const dialogues = Array.from({ length: 24 }, (_, i) => {
      const content = ["red", "green", "blue"][i % 3];
      return JSON.stringify({
        messages: [{ role: "user", content: `say ${content}` }, { role: "assistant", content }],
      });
    });
    await Deno.writeTextFile(join(folder, "data.jsonl"), dialogues.join("\n"));
    await run({
      folder,
      base,
      options: (name, change = {}) =>
        finetuneOptions.parse({
          model: base,
          data: [join(folder, "data.jsonl")],
          template: "chatml",
          output: join(folder, name),
          batchSize: 2,
          seqLen: 64,
          steps: 4,
          warmupSteps: 0,
          evalData: [join(folder, "data.jsonl")],
          lr: 3e-3,
          dtype: "float32",
          ...change,
        }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const EMBEDDING = "model.embed_tokens.weight", HEAD = "lm_head.weight";

for (
  const [optimizer, tied] of [["lora", false], ["qlora", true], [
    "q_galore_adamw8bit",
    true,
  ]] as const
) {
  trainingTest(
    `${optimizer}, ${tied ? "tied" : "untied"}: added tokens get rows, learn, and are saved`,
    () =>
      withBench(tied, async ({ folder, base, options }) => {
        const own = optimizer === "q_galore_adamw8bit" ? { rank: 8, weightGroupSize: 64 } : {};
        const change = { optimizer, addTokens: TOKENS, ...own };
        const { events, account } = await runFinetuning(options("run", change));
        const plan = events.find((event) => event.type === "plan")!;
        assertEquals(account.peak, plan.planned_peak_bytes);
        const spelled = events.filter((event) =>
          event.type === "warning" && event.message.includes("spelled out")
        );
        assertEquals(spelled, []);

        const adapted = optimizer.endsWith("lora");
        const result = join(folder, "run", adapted ? "adapter" : "model");
        const tokenizer = await loadTokenizer(result);
        assertEquals(TOKENS.map((token) => tokenizer.encode(token, { addSpecialTokens: false })), [
          ...[[OLD], [OLD + 1]],
        ]);
        using saved = adapted ? await openAdapted(base, result) : await openPretrained(result);
        assertEquals(saved.config.vocabSize, NEW);
        assertEquals(saved.config.tieWordEmbeddings, tied);
        // Both start at the mean of the old rows, and learn to be told apart.
        const row = async (name: string, id: number) =>
          await saved.weights.readFloat32(name, id * TINY.hiddenSize, TINY.hiddenSize);
        for (const name of tied ? [EMBEDDING] : [EMBEDDING, HEAD]) {
          assertNotEquals(await row(name, OLD), await row(name, OLD + 1), name);
        }
        if (!adapted) return;
        const merged = join(folder, "merged"), gpu = await sharedGpu();
        await mergeAdapter(gpu, { model: base, adapter: result, output: merged, dtype: "keep" });
        using whole = await openPretrained(merged);
        assertEquals(whole.config, { ...saved.config, eosTokenId: whole.config.eosTokenId });
        const ids = [OLD, 7, OLD + 1, 9], size = { batch: 1, length: 4 };
        using model = await LlamaForCausalLM.fromPretrained(base, { gpu, adapter: result });
        using copy = await LlamaForCausalLM.fromPretrained(merged, { gpu });
        const a = await model.lossAndGradients(ids, ids, size);
        const b = await copy.lossAndGradients(ids, ids, size);
        assert(Math.abs(a.loss - b.loss) < 1e-4, `${a.loss}, ${b.loss}`);
      }),
  );
}

trainingTest(
  "without rows to spare, their start is the mean; a run resumes to the same bytes",
  () =>
    withBench(false, async ({ folder, base, options }) => {
      const change = { optimizer: "lora", addTokens: TOKENS, saveEvery: 2 };
      await runFinetuning(options("whole", change));
      await runFinetuning(options("parts", change), { until: 2 });
      await runFinetuning(options("parts", { ...change, resume: "auto" }));
      const file = ["adapter", "adapter_model.safetensors"];
      const bytes = (name: string) => Deno.readFile(join(folder, name, ...file));
      assertEquals(await bytes("parts"), await bytes("whole"));
      // Other tokens make it another run.
      const other = options("parts", { ...change, addTokens: [...TOKENS, "<a>"], resume: "auto" });
      const error = await assertRejects(() => runFinetuning(other), UserError);
      assert(explain(error).includes("vocabSize was 502, is 503"), explain(error));
      using before = await openPretrained(base);
      assertEquals(before.config.vocabSize, OLD, "the base is not touched");
    }),
);

trainingTest(
  "an adapter goes on where it stopped, and keeps its form",
  () =>
    withBench(true, async ({ folder, base, options }) => {
      const evaluations = async (options: FinetuneOptions) => {
        const { events } = await runFinetuning(options);
        return events.filter((event): event is EvalEvent => event.type === "eval")
          .map(({ eval_loss }) => eval_loss);
      };
      const first = { optimizer: "lora", loraTarget: ["q_proj", "lm_head", "embed_tokens"] };
      const [, ended] = await evaluations(options("first", first));
      const adapter = join(folder, "first", "adapter");
      const [started, better] = await evaluations(
        options("second", { optimizer: "lora", adapter }),
      );
      assert(Math.abs(started - ended) < 1e-5, `${ended}, then ${started}`);
      assert(better < started, `${started} → ${better}`);
      using saved = await openAdapted(base, join(folder, "second", "adapter"));
      using given = await openAdapted(base, adapter);
      assertEquals(saved.adapter.lora, given.adapter.lora);
      // With embeddings of added tokens, too.
      const tokens = { optimizer: "lora", addTokens: TOKENS };
      const [, last] = await evaluations(options("tokens", tokens));
      const grown = join(folder, "tokens", "adapter");
      const [again] = await evaluations(options("more", { optimizer: "qlora", adapter: grown }));
      assert(Math.abs(again - last) < 0.05, `NF4 rounds: ${last}, then ${again}`);
      await assertRejects(
        () =>
          runFinetuning(options("no", { optimizer: "lora", adapter: grown, embedding4bit: true })),
        UserError,
        "has embedding or head whole, which are trained on; embedding4bit: true needs them frozen",
      );
      using more = await openAdapted(base, join(folder, "more", "adapter"));
      assertEquals([more.config.vocabSize, more.adapter.wholes.size], [NEW, 2]);
    }),
);

trainingTest(
  "an adapter of peft's with patterns goes on; what would be lost is refused",
  async () => {
    const folder = await Deno.makeTempDir();
    try {
      const records = Array.from({ length: 8 }, (_, i) => ({ prompt: `${i}`, completion: "\n" }));
      const data = join(folder, "data.jsonl");
      await Deno.writeTextFile(data, records.map((each) => JSON.stringify(each)).join("\n"));
      const run = async (name: string) => {
        const { adapter, base } = await adapterCase(name);
        const files = { model: base, adapter, tokenizer: "bytes", data: [data], evalShare: 0 };
        const sizes = { seqLen: 8, batchSize: 2, steps: 1, warmupSteps: 0 };
        const output = join(folder, name);
        await runFinetuning(
          finetuneOptions.parse({ ...files, ...sizes, output, optimizer: "lora" }),
        );
        return { given: adapter, output: join(output, "adapter"), base };
      };
      const { given, output, base } = await run("llama-all-r4");
      using before = await openAdapted(base, given);
      using after = await openAdapted(base, output);
      assertEquals(after.adapter.lora, before.adapter.lora);
      using file = await Safetensors.open(join(output, "adapter_model.safetensors"));
      assertEquals(file.tensors.size, 42);
      for (const name of ["tied-bias-all", "odd-norms", "odd-tokens"]) {
        const error = await assertRejects(() => run(name), UserError);
        assert(explain(error).includes("which adapters here do not train"), explain(error));
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

trainingTest(
  "the result of an earlier run with another method is warned about",
  () =>
    withBench(true, async ({ folder, options }) => {
      const tokens = { addTokens: TOKENS };
      const warned = async (change: Record<string, unknown>) =>
        (await finetuneRecipe(options("run", { ...tokens, ...change }))).warnings
          .filter((text) => String(text).includes("the result of an earlier run"));
      const adapter = join(folder, "run", "adapter");
      assertEquals(await warned({ optimizer: "galore_adamw" }), []);
      await Deno.mkdir(adapter, { recursive: true });
      const galore = await warned({ optimizer: "galore_adamw" });
      assertEquals(galore, [
        `${adapter} is the result of an earlier run: this one will not replace it`,
      ]);
      assertEquals(await warned({ optimizer: "lora" }), []);
    }),
);
