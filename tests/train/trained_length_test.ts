/** A model says how long the sequences were that it was trained on. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { readLlamaConfig } from "../../src/formats/hf_config.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { runFinetuning, runTraining, trainingTest, withWorkshop } from "./support.ts";

trainingTest(
  "the length of training is saved, and a longer one after it",
  () =>
    withWorkshop(async ({ folder, options }) => {
      await runTraining(options("first", { steps: 1, seqLen: 24, saveEvery: 0 }));
      const model = join(folder, "first/model"), data = [join(folder, "text.txt")];
      assertEquals((await readLlamaConfig(model)).trainedLength, 24);
      for (const [seqLen, trained] of [[16, 24], [40, 40]]) {
        const output = join(folder, `tuned-${seqLen}`);
        const { events } = await runFinetuning(finetuneOptions.parse({
          model,
          data,
          output,
          optimizer: "adamw",
          steps: 1,
          batchSize: 2,
          evalShare: 0,
          seqLen,
          saveEvery: 0,
        }));
        assertEquals((await readLlamaConfig(join(output, "model"))).trainedLength, trained);
        const note = "sequences have 40 tokens, the model was trained with 24: ";
        assertEquals(JSON.stringify(events).includes(note), seqLen === 40);
      }
    }),
);
