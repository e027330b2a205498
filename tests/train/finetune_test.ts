/** Fine-tuning a checkpoint by every method: memory, what changes and what does not, resuming. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Safetensors } from "../../src/formats/safetensors.ts";
import { UserError } from "../../src/options/user_error.ts";
import type { DoneEvent, EvalEvent, TrainingEvent } from "../../src/train/events.ts";
import { type FinetuneOptions, finetuneOptions } from "../../src/train/finetune_options.ts";
import { assertClose } from "../support.ts";
import { runFinetuning, saveBase, TINY, trainingTest } from "./support.ts";

/** A vocabulary of 320, of which the byte tokenizer uses 257. */
const BASE = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));

const WORDS = ["red", "green", "blue", "black", "white", "brown"];

interface Desk {
  readonly folder: string;
  options(name: string, change?: Record<string, unknown>): FinetuneOptions;
}

/** Examples in two files, one of them to evaluate on. */
async function withDesk(run: (desk: Desk) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const examples = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => {
      const word = WORDS[(first + i) % WORDS.length];
      const times = 1 + (first + 3 * i) % 4;
      const record = { prompt: `${times} x ${word}: `, completion: `${word} `.repeat(times) };
      return JSON.stringify(record);
    }).join("\n");
  try {
    await Deno.writeTextFile(join(folder, "train.jsonl"), examples(0, 40));
    await Deno.writeTextFile(join(folder, "eval.jsonl"), examples(100, 10));
    await run({
      folder,
      options: (name, change = {}) =>
        finetuneOptions.parse({
          model: BASE,
          tokenizer: "bytes",
          data: [join(folder, "train.jsonl")],
          evalData: [join(folder, "eval.jsonl")],
          output: join(folder, name),
          batchSize: 2,
          seqLen: 64,
          steps: 6,
          warmupSteps: 0,
          lr: 3e-3,
          ...change,
        }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Of rank 32, a low-rank gradient is large enough for moments of 4 bits. */
const NARROW = { adam4bit: true, activationCheckpointing: true, activationQuant: true };

const METHODS: Record<string, Record<string, unknown>> = {
  q_galore_adamw8bit: { rank: 16, galoreScale: 1, gradientAccumulation: 2 },
  "q_galore_adamw8bit with embeddings": {
    trainEmbeddings: true,
    embeddingOptimizer: "adam_factored",
    rank: 16,
  },
  "galore_adamw8bit, narrow": { rank: 32, galoreScale: 1, trainEmbeddings: true, ...NARROW },
  adamw: { activationCheckpointing: true, lr: 1e-3 },
  lora: { loraDropout: 0.1, gradientAccumulation: 2 },
  "qlora, with DoRA, rsLoRA, LoRA+ and NEFTune, embedding in 4 bits": {
    useDora: true,
    useRslora: true,
    loraplusLrRatio: 2,
    neftuneNoiseAlpha: 1,
    loraTarget: ["q_proj", "v_proj", "down_proj"],
    activationCheckpointing: true,
    embedding4bit: true,
  },
};

for (const [name, change] of Object.entries(METHODS)) {
  const [optimizer] = name.split(/,? /);
  trainingTest(
    `${name}: learns within the planned memory`,
    () =>
      withDesk(async ({ options }) => {
        const { events, account } = await runFinetuning(options("run", { optimizer, ...change }));
        const plan = events.find((event) => event.type === "plan")!;
        assertEquals(account.peak, plan.planned_peak_bytes);
        for (const event of events) {
          if (event.type !== "step") continue;
          assertEquals(event.gpu_bytes, account.peak, "nothing is allocated or freed meanwhile");
        }
        assertEquals(account.live, 0, "the end of the run gives it back");
        const [before, after] = events.filter((event): event is EvalEvent => event.type === "eval");
        assertEquals(before.step, 0);
        assert(
          after.eval_loss < before.eval_loss - 0.1,
          `${before.eval_loss} → ${after.eval_loss}`,
        );
        const { summary } = events.at(-1) as DoneEvent;
        assertEquals(summary.first_eval_loss, before.eval_loss);
      }),
  );
}

trainingTest(
  "embedding and head stay as they were unless they are trained",
  () =>
    withDesk(async ({ options, folder }) => {
      const changed = async (name: string, change: Record<string, unknown>) => {
        await runFinetuning(options(name, { dtype: "float32", steps: 2, rank: 16, ...change }));
        using before = await Safetensors.open(BASE);
        using after = await Safetensors.open(join(folder, name, "model"));
        const names = [...after.tensors.keys()];
        assertEquals(names.sort(), [...before.tensors.keys()].sort());
        const same = await Promise.all(names.map(async (tensor) => {
          const [a, b] = [await before.readFloat32(tensor), await after.readFloat32(tensor)];
          return a.every((value, i) => value === b[i]);
        }));
        return names.filter((_, i) => !same[i]);
      };
      const body = await changed("body", { optimizer: "galore_adamw" });
      assert(!body.includes("model.embed_tokens.weight"));
      assert(
        body.includes("model.norm.weight") && body.includes("model.layers.2.mlp.up_proj.weight"),
      );
      for (const embedding4bit of [false, true]) {
        const quantised = await changed(`in 4 bits: ${embedding4bit}`, { embedding4bit });
        assert(!quantised.includes("model.embed_tokens.weight"), "quantised, exact in the file");
      }
      const all = await changed("all", { optimizer: "galore_adamw", trainEmbeddings: true });
      assert(all.includes("model.embed_tokens.weight"));
    }),
);

for (const optimizer of ["q_galore_adamw8bit", "lora"]) {
  trainingTest(
    `${optimizer}: a resumed run ends in the bytes of the uninterrupted one`,
    () =>
      withDesk(async ({ options, folder }) => {
        const own = optimizer === "lora"
          ? { loraDropout: 0.2, useDora: true, neftuneNoiseAlpha: 5, packing: false }
          : { rank: 32, updateProjGap: 2, embedding4bit: true, ...NARROW };
        const change = { optimizer, gradientAccumulation: 2, ...own };
        await runFinetuning(options("whole", change));
        await runFinetuning(options("parts", change), { until: 3 });
        await runFinetuning(options("parts", { ...change, resume: "auto" }));
        const [kind, file] = optimizer === "lora"
          ? ["adapter", "adapter_model.safetensors"]
          : ["model", "model.safetensors"];
        const bytes = (name: string) => Deno.readFile(join(folder, name, kind, file));
        assertEquals(await bytes("parts"), await bytes("whole"));
      }),
  );
}

/** Groups of 256 straddle the rows of an embedding of 40 columns. */
const OFFLOADED: Record<string, Record<string, unknown>> = {
  q_galore_adamw8bit: { rank: 8, activationCheckpointing: true },
  lora: { loraTarget: ["q_proj", "embed_tokens"], loraDropout: 0.1 },
};

for (const [optimizer, own] of Object.entries(OFFLOADED)) {
  trainingTest(
    `${optimizer}: an embedding in host memory changes no bit, and takes none of the device's`,
    () =>
      withDesk(async ({ options, folder }) => {
        const model = join(folder, "base"), kind = optimizer === "lora" ? "adapter" : "model";
        await Deno.mkdir(model);
        await saveBase(model, { ...TINY, maxPositions: 128 });
        const change = {
          model,
          optimizer,
          steps: 4,
          sampleTokens: 6,
          template: "chatml",
          ...own,
        };
        const run = async (name: string, more: Record<string, unknown>, until?: number) => {
          const all = { ...change, samplePrompt: ["red"], ...more };
          const { events, account } = await runFinetuning(options(name, all), { until });
          const plan = events.find((event) => event.type === "plan")!;
          assertEquals(account.peak, plan.planned_peak_bytes);
          return { plan, said: events.flatMap(figuresOf) };
        };
        const [device, host] = [
          await run("device", {}),
          await run("host", { offloadEmbedding: true }),
        ];
        assertEquals(host.said, device.said);
        assertEquals(device.said.length, 4 + 2 + 2, "losses, evaluations, samples");
        assert(
          host.plan.by_purpose.weights <= device.plan.by_purpose.weights - 257 * TINY.hiddenSize,
        );

        await run("parts", { offloadEmbedding: true }, 2);
        await run("parts", { resume: "auto" });
        const file = optimizer === "lora" ? "adapter_model.safetensors" : "model.safetensors";
        const saved = (name: string) => Deno.readFile(join(folder, name, kind, file));
        const bytes = await saved("device");
        assertEquals(await saved("host"), bytes);
        assertEquals(await saved("parts"), bytes, "a resume may take it back to the device");
      }),
  );
}

/** What a run says of losses and samples. */
function figuresOf(event: TrainingEvent): unknown[] {
  if (event.type === "step") return [event.loss];
  if (event.type === "eval") return [event.eval_loss];
  return event.type === "sample" ? [event.text] : [];
}

trainingTest(
  "an embedding in host memory beside a head of 4 bits: it has more bits, and learns",
  () =>
    withDesk(async ({ options, folder }) => {
      const model = join(folder, "base");
      await Deno.mkdir(model);
      await saveBase(model, TINY);
      const change = { model, rank: 8, seqLen: 32, lr: 0.02, embedding4bit: true };
      const run = async (name: string, more: Record<string, unknown>) => {
        const { events, account } = await runFinetuning(options(name, { ...change, ...more }));
        const plan = events.find((event) => event.type === "plan")!;
        assertEquals(account.peak, plan.planned_peak_bytes);
        const [before, after] = events.filter((event): event is EvalEvent => event.type === "eval");
        assert(after.eval_loss < before.eval_loss - 0.1, `${before.eval_loss}, ${after.eval_loss}`);
        return before.eval_loss;
      };
      assertNotEquals(await run("host", { offloadEmbedding: true }), await run("device", {}));
      await assertRejects(
        () => runFinetuning(options("tied", { offloadEmbedding: true })),
        UserError,
        "offloadEmbedding: this model's embedding is its head as well",
      );
    }),
);

trainingTest(
  "packed examples do not see each other: the loss is that of one a row",
  () =>
    withDesk(async ({ options }) => {
      const loss = async (name: string, packing: boolean) => {
        const { events } = await runFinetuning(
          options(name, { dtype: "float32", optimizer: "adamw", steps: 1, packing, batchSize: 3 }),
        );
        return (events.find((event) => event.type === "eval") as EvalEvent).eval_loss;
      };
      // Positions continue within a row; RoPE encodes only distances, but rounds differently.
      assertClose("loss", [await loss("packed", true)], [await loss("single", false)], {
        atol: 0,
        rtol: 1e-5,
      });
    }),
);

trainingTest(
  "of a handful of examples none may be held out: that is said, and the run goes on",
  () =>
    withDesk(async ({ options }) => {
      const change = { evalData: undefined, evalShare: 1e-6, steps: 2, optimizer: "adamw" };
      const { events } = await runFinetuning(options("run", change));
      const warnings = events.filter((event) => event.type === "warning");
      assertEquals(warnings.map(({ message }) => message.split(":")[0]), [
        "a run of 2 steps teaches little",
        "none of the 40 examples fell into the held-out share of 0.000001, so nothing is evaluated " +
        "(increase evalShare or set evalData)",
      ]);
      assertEquals(events.filter((event) => event.type === "eval"), []);
      assertEquals((events.at(-1) as DoneEvent).interrupted, false);
    }),
);

trainingTest(
  "what cannot be trained is refused before anything starts",
  () =>
    withDesk(async ({ options, folder }) => {
      const refused = (change: Record<string, unknown>, message: string) =>
        assertRejects(() => runFinetuning(options("run", change)), UserError, message);
      await refused({ seqLen: 512 }, "seqLen: 512 exceeds the 256 positions");
      await Deno.writeTextFile(join(folder, "text.txt"), "some text\n".repeat(100));
      await refused(
        { data: [join(folder, "text.txt")], steps: undefined },
        "steps is required to train on text",
      );
      await refused({ model: join(folder, "none") }, "none");
      assertEquals(
        await Array.fromAsync(Deno.readDir(folder), ({ name }) => name).then((names) =>
          names.includes("run")
        ),
        false,
      );
    }),
);

trainingTest(
  "a run is not begun over another unless that is asked for; datasets by name",
  () =>
    withDesk(async ({ options, folder }) => {
      const columns = { prompt: "prompt", response: "completion" };
      const entry = (file_name: string) => ({ file_name, formatting: "alpaca", columns });
      const info = { colours: entry("train.jsonl"), others: entry("eval.jsonl") };
      await Deno.writeTextFile(join(folder, "dataset_info.json"), JSON.stringify(info));
      const named = { data: undefined, dataset: ["colours"], datasetDir: folder };
      const change = {
        ...named,
        evalData: undefined,
        evalDataset: ["others"],
        template: "chatml",
        optimizer: "lora",
        seqLen: 160,
      };
      const checkpoints = async () =>
        (await Array.fromAsync(Deno.readDir(join(folder, "run")), ({ name }) => name))
          .filter((name) => name.startsWith("checkpoint-"));
      await runFinetuning(options("run", { ...change, steps: 3 }));
      const template = await Deno.readTextFile(join(folder, "run/adapter/chat_template.jinja"));
      assert(template.includes("<|im_end|>") && !template.includes("generation %}"));
      await assertRejects(
        () => runFinetuning(options("run", { ...change, steps: 1 })),
        UserError,
        "already holds a run",
      );
      assertEquals(await checkpoints(), ["checkpoint-3"]);
      await runFinetuning(options("run", { ...change, steps: 1, overwriteOutput: true }));
      assertEquals(await checkpoints(), ["checkpoint-1"]);
    }),
);

trainingTest(
  "a small set is learned by default, and a resumed run keeps what was chosen for it",
  () =>
    withDesk(async ({ options }) => {
      const open = { steps: undefined, batchSize: undefined, warmupSteps: undefined };
      const chosen = {
        optimizer: "adamw",
        seqLen: 256,
        evalData: undefined,
        evalShare: 0.2,
        ...open,
      };
      const { events } = await runFinetuning(options("run", chosen), { until: 3 });
      const told = events.flatMap((event) => event.type === "warning" ? [event.message] : []);
      assertEquals(told, [
        "33 examples in 4 sequences: 25 epochs in batches of 1 make 100 steps, chosen for a small " +
        "set (epochs and batchSize set them)",
      ]);
      const rest = await runFinetuning(options("run", { ...chosen, resume: "auto" }));
      const { summary } = rest.events.at(-1) as DoneEvent;
      assertEquals(rest.events[0].type === "plan" && rest.events[0].steps, 100);
      const { first_eval_loss, eval_loss } = summary;
      assert(eval_loss! < 0.7 * first_eval_loss!, `${first_eval_loss} to ${eval_loss}`);
      // What is asked for stays.
      const asked = { ...chosen, epochs: 1 };
      const { account, events: [plan] } = await runFinetuning(options("asked", asked));
      assertEquals(plan.type === "plan" && [plan.steps, plan.planned_peak_bytes], [
        1,
        account.peak,
      ]);
    }),
);
