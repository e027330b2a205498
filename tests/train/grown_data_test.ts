/** A run that is resumed with more data, a larger batch and more steps: bit for bit, and told. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { PlanEvent, StepEvent, WarningEvent } from "../../src/train/events.ts";
import { UserError } from "../../src/options/user_error.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { type Ran, runFinetuning, runTraining, trainingTest, withWorkshop } from "./support.ts";

const MODEL = fromFileUrl(import.meta.resolve("../fixtures/models/llama-gqa-tied"));

const warnings = ({ events }: Ran) =>
  events.filter((event): event is WarningEvent => event.type === "warning")
    .map(({ message }) => message);

trainingTest("pre-training goes on with more files, another batch and more steps", async () => {
  await withWorkshop(async ({ folder, options }) => {
    const texts = join(folder, "texts");
    await Deno.mkdir(texts);
    await Deno.copyFile(join(folder, "text.txt"), join(texts, "a.txt"));
    const given = {
      ...{ data: [texts], shuffleBuffer: 4, lr: 0.01, evalEvery: 0 },
      ...{ optimizer: "adamw", keepCheckpoints: 9, saveEvery: 1 },
    };
    await runTraining(options("first", { ...given, steps: 4 }));
    await Deno.writeTextFile(join(texts, "b.txt"), "Another text.\n".repeat(400));
    const more = { ...given, steps: 9, batchSize: 2 };
    const resume = join(folder, "first", "checkpoint-3");
    const whole = await runTraining(options("whole", { ...more, resume }));
    const told = warnings(whole);
    for (
      const expected of [
        "1 of 2 files are new: they are mixed in among what is left of this epoch",
        "steps was 4, is 9",
        "batchSize was 3, is 2",
      ]
    ) assert(told.some((text) => text.includes(expected)), `${expected}: ${told.join("\n")}`);
    const [plan] = whole.events.filter((event): event is PlanEvent => event.type === "plan");
    assertEquals([plan.steps, plan.resumed_step], [9, 3]);

    await runTraining(options("parts", { ...more, resume }), { until: 6 });
    const parts = await runTraining(options("parts", { ...more, resume: "auto" }));
    const model = (name: string) => Deno.readFile(join(folder, name, "model", "model.safetensors"));
    assertEquals(await model("parts"), await model("whole"));
    const losses = ({ events }: Ran) =>
      events.filter((event): event is StepEvent => event.type === "step").map(({ loss }) => loss);
    assertEquals(losses(parts), losses(whole).slice(-losses(parts).length));

    // What cannot go on says what would be right.
    await assertRejects(
      () => runTraining(options("other", { ...more, resume, seqLen: 12 })),
      UserError,
      "belongs to a different run: seqLen was 24, is 12",
    );
    await assertRejects(
      () => runTraining(options("other", { ...more, resume, evalShare: 0.2 })),
      UserError,
      "share was train 0.05, is now train 0.2",
    );
  });
});

trainingTest("fine-tuning goes on with more examples: epochs count over all of them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const write = (name: string, from: number, to: number) =>
      Deno.writeTextFile(
        join(folder, name),
        Array.from({ length: to - from }, (_, i) =>
          JSON.stringify({ prompt: `${from + i}?`, completion: `${"red ".repeat(i % 4)}!` }) + "\n")
          .join(""),
      );
    await write("a.jsonl", 0, 12);
    const data = [join(folder, "*.jsonl")];
    const options = (name: string, change: Record<string, unknown> = {}) =>
      finetuneOptions.parse({
        ...{ model: MODEL, tokenizer: "bytes", data, output: join(folder, name), epochs: 2 },
        ...{ optimizer: "lora", packing: false, evalShare: 0, batchSize: 4, seqLen: 32 },
        ...change,
      });
    const steps = ({ events }: Ran) =>
      events.flatMap((event) => event.type === "plan" ? [event.steps] : []);
    assertEquals(
      steps(await runFinetuning(options("first", { saveEvery: 1, keepCheckpoints: 9 }))),
      [6],
    );
    await write("b.jsonl", 12, 20);
    // One step of four is behind it: 8 and 8 examples are left of this epoch, 20 are the other's.
    const resume = join(folder, "first", "checkpoint-1");
    const whole = await runFinetuning(options("whole", { resume }));
    assertEquals(steps(whole), [10]);
    assert(
      warnings(whole).some((text) => text.includes("1 of 2 files are new, with 8 examples")),
      warnings(whole).join("\n"),
    );
    await runFinetuning(options("parts", { resume }), { until: 3 });
    assertEquals(steps(await runFinetuning(options("parts", { resume: "auto" }))), [10]);
    const adapter = (name: string) =>
      Deno.readFile(join(folder, name, "adapter", "adapter_model.safetensors"));
    assertEquals(await adapter("parts"), await adapter("whole"));
    // A larger batch: fewer steps for what is left.
    const larger = await runFinetuning(options("larger", { resume, batchSize: 6, epochs: 1 }));
    assertEquals(steps(larger), [4]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
