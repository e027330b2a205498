/** What runs have saved, put into the models folder as it is. */
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import OpenAI from "openai";
import { scanModels } from "../../../src/server/models/scan.ts";
import { finetuneOptions } from "../../../src/train/finetune_options.ts";
import { runFinetuning, runTraining, withWorkshop } from "../../train/support.ts";
import { type ModelServer, serverTest, withModelServer } from "../inference/support.ts";

/** A finished run, a stopped one, and two on a model of the folder: an adapter and a whole model. */
async function layRuns({ path }: ModelServer): Promise<void> {
  await withWorkshop(async ({ options, folder }) => {
    const pretrain = { optimizer: "adamw", dtype: "float32", saveEvery: 2, steps: 4 };
    await runTraining(options("done", pretrain));
    await runTraining(options("stopped", pretrain), { until: 2 });
    for (const run of ["done", "stopped"]) await Deno.rename(join(folder, run), path(run));
    const finetune = (name: string, optimizer: "lora" | "adamw") =>
      finetuneOptions.parse({
        model: path("tiny"),
        data: [join(folder, "text.txt")],
        output: path(name),
        optimizer,
        dtype: "float32",
        batchSize: 1,
        seqLen: 16,
        steps: 2,
        saveEvery: 1,
        evalShare: 0,
      });
    await runFinetuning(finetune("lora", "lora"));
    await runFinetuning(finetune("body", "adamw"), { until: 1 });
  });
}

/** A copy of an adapter that names another base. */
async function nameBase(from: string, to: string, base: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for (const { name } of Deno.readDirSync(from)) {
    await Deno.copyFile(join(from, name), join(to, name));
  }
  const config = join(to, "adapter_config.json");
  const fields = JSON.parse(await Deno.readTextFile(config));
  await Deno.writeTextFile(config, JSON.stringify({ ...fields, base_model_name_or_path: base }));
}

serverTest(
  "runs, checkpoints and adapters in the models folder are models, by their names",
  () =>
    withModelServer({ write: { tiny: {}, "org/tiny": {} } }, async (server) => {
      const { path, client, models } = server;
      await layRuns(server);
      const adapter = path("lora/adapter"), outside = path("../outside");
      await nameBase(adapter, path("by-name"), "org/tiny");
      await nameBase(adapter, path("no-base"), "org/other");
      await nameBase(adapter, path("base-outside"), outside);
      await Deno.mkdir(outside);
      await Deno.writeTextFile(join(outside, "config.json"), "");
      await Deno.mkdir(path("leaking"));
      await Deno.symlink(adapter, path("link"));
      await Deno.symlink("../../outside", path("leaking/model"));
      const found = new Map((await scanModels(path("."))).map((each) => [each.name, each]));
      const opened = (name: string) => {
        const { path, adapter, reads } = found.get(name) ?? {};
        return { path, adapter, reads };
      };
      const nothing = { path: undefined, adapter: undefined, reads: undefined };
      assertEquals(opened("done"), { ...nothing, path: path("done/model") });
      assertEquals(opened("stopped"), { ...nothing, path: path("stopped/checkpoint-2") });
      assertEquals(opened("lora"), { ...nothing, path: path("tiny"), adapter });
      assertEquals(opened("body"), {
        ...nothing,
        path: path("body/checkpoint-1"),
        reads: [path("tiny")],
      });
      assertEquals(opened("by-name"), {
        ...nothing,
        path: path("org/tiny"),
        adapter: path("by-name"),
      });
      for (const name of ["no-base", "base-outside", "leaking", "org"]) {
        assertEquals(opened(name), nothing, name);
      }
      // They can be talked to, and nothing deletes them.
      for (const model of ["stopped", "lora", "body"]) {
        const { choices } = await client.completions.create({ model, prompt: "a", max_tokens: 2 });
        assertEquals(choices[0].finish_reason, "length", model);
      }
      await assertRejects(() => client.models.delete("stopped"), OpenAI.PermissionDeniedError);
      assertEquals((await models.get("lora")).kind, "base");
    }),
);

serverTest(
  "a model that was put there a moment ago is found",
  () =>
    withModelServer({ write: { tiny: {} } }, async ({ path, models }) => {
      await models.list();
      await Deno.rename(path("tiny"), path("new"));
      assertEquals((await models.get("new")).path, path("new"));
      await Promise.all([1, 2, 3].map(() => assertRejects(() => models.get("other"))));
    }),
);
