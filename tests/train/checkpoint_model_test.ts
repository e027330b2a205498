import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { UserError } from "../../src/options/user_error.ts";
import { saveCheckpointModel } from "../../src/train/checkpoint_model.ts";
import { sharedGpu } from "../support.ts";
import { runTraining, trainingTest, withWorkshop } from "./support.ts";

trainingTest(
  "the model of the last checkpoint is the run's result, and the data is not needed",
  () =>
    withWorkshop(async ({ options, folder }) => {
      const run = options("run");
      const { account } = await runTraining(run);
      await Deno.remove(join(folder, "text.txt"));
      const gpu = await sharedGpu();
      using saving = gpu.account.watch();
      const resume = join(run.output, "checkpoint-6"), output = join(folder, "saved");
      const path = await saveCheckpointModel(gpu, { pretrain: { ...run, resume, output } });
      assertEquals(path, join(output, "model"));
      for (const name of ["model.safetensors", "config.json"]) {
        assertEquals(
          await Deno.readFile(join(path, name)),
          await Deno.readFile(join(run.output, "model", name)),
        );
      }
      assertEquals(saving.live, 0);
      assertEquals(saving.peak <= account.peak, true);
      await assertRejects(
        () => saveCheckpointModel(gpu, { pretrain: { ...run, rank: 8, resume, output } }),
        UserError,
        "rank was 16, is 8",
      );
    }),
);
