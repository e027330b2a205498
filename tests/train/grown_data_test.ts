/** A run that is resumed with more data, a larger batch and more steps: bit for bit, and told. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import type { PlanEvent, StepEvent, WarningEvent } from "../../src/train/events.ts";
import { UserError } from "../../src/options/user_error.ts";
import { type Ran, runTraining, trainingTest, withWorkshop } from "./support.ts";

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
