/** `memory --config`: the plan is that of the run whose file it is. */
import { assertEquals } from "@std/assert";
import { parseFlags } from "../../src/cli/flags.ts";
import { memoryOptions } from "../../src/train/memory_options.ts";

for (
  const [given, finetunes] of [
    [{ model: "llama_60m", optimizer: "lora" }, false],
    [{ model: "llama_60m", optimizer: "relora" }, false],
    [{ model: "./config.json", optimizer: "lora", shuffle_buffer: 10 }, false],
    [{ from: "./model", optimizer: "lora" }, false],
    [{ model: "./model", optimizer: "lora" }, true],
    [{ model: "./model", optimizer: "qlora" }, true],
    [{ model: "./model", optimizer: "relora", epochs: 2 }, true],
    [{ model: "./model", optimizer: "adamw", epochs: 2 }, true],
    [{ model: "./model", optimizer: "adamw" }, false],
  ] as const
) {
  Deno.test(`a file of ${JSON.stringify(given)}: fine-tuning ${finetunes}`, async () => {
    const path = await Deno.makeTempFile({ suffix: ".json" });
    try {
      await Deno.writeTextFile(path, JSON.stringify({ ...given, output: "-", data: ["-"] }));
      const plan = await parseFlags(memoryOptions, ["--config", path]);
      assertEquals(plan.finetune, finetunes);
      // Each command has its own default.
      assertEquals(plan.batchSize, finetunes ? 4 : 16);
    } finally {
      await Deno.remove(path);
    }
  });
}
