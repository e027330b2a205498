/** What a run starts from is never replaced by what it saves, and may go missing on the way. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { saveCheckpointFolder } from "../../src/export/checkpoint_model.ts";
import { openAdapted } from "../../src/formats/peft/adapted_model.ts";
import { openPretrained } from "../../src/formats/pretrained_model.ts";
import { Safetensors, writeSafetensors } from "../../src/formats/safetensors.ts";
import { explain, UserError } from "../../src/options/user_error.ts";
import { finetuneOptions } from "../../src/train/finetune_options.ts";
import { finetuneRecipe } from "../../src/train/finetune_recipe.ts";
import { pretrainRecipe } from "../../src/train/pretrain_recipe.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { sharedGpu } from "../support.ts";
import { runFinetuning, trainingTest } from "./support.ts";

const FIXTURES = fromFileUrl(import.meta.resolve("../fixtures"));
const BASE = join(FIXTURES, "models/llama-gqa-tied");

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const record = { prompt: "2 x red: ", completion: "red red" };
    await Deno.writeTextFile(join(folder, "train.json"), JSON.stringify(Array(8).fill(record)));
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function copyBase(to: string): Promise<string> {
  await Deno.mkdir(to, { recursive: true });
  for (const { name } of Deno.readDirSync(BASE)) {
    await Deno.copyFile(join(BASE, name), join(to, name));
  }
  return to;
}

const optionsOf = (folder: string, change: Record<string, unknown>) => ({
  tokenizer: "bytes",
  data: [join(folder, "train.json")],
  evalShare: 0,
  output: join(folder, "run"),
  batchSize: 2,
  seqLen: 32,
  steps: 2,
  warmupSteps: 0,
  ...change,
});

Deno.test("a base that lies in the output folder is refused, by whatever way", () =>
  withFolder(async (folder) => {
    const run = join(folder, "run"), model = await copyBase(join(run, "model"));
    const refused = async (found: string, change: Record<string, unknown>, hint?: string) => {
      const { from, output = run, ...rest } = change as Record<string, string>;
      const options = optionsOf(folder, { output, ...rest });
      const recipe = from === undefined
        ? finetuneRecipe({ ...options, model: found, ...change })
        : pretrainRecipe({ ...options, from });
      const error = await assertRejects(() => recipe, UserError, "a run replaces what its folder");
      assertMatch(
        error.message,
        /^output: ".*": holds the (model|adapter) that the run starts from/,
      );
      for (const each of [output, found]) assertMatch(error.message, new RegExp(each));
      assertEquals(error.hint, hint ?? "choose another output");
    };
    await refused(model, {});
    await refused(model, { optimizer: "lora" });
    await refused(model, { overwriteOutput: true });
    await refused(model, { from: model });
    // The folder itself; a file; a folder below the result's.
    await refused(model, { output: model });
    await Deno.writeTextFile(join(run, "base.gguf"), "GGUF");
    await refused(join(run, "base.gguf"), {});
    await refused(await copyBase(join(model, "older")), {});
    const adapter = join(run, "adapter");
    await Deno.mkdir(adapter);
    await Deno.writeTextFile(join(adapter, "adapter_config.json"), "{}");
    await refused(adapter, { model: BASE, adapter, optimizer: "lora" });
    // Links: to the base, to the output folder, to its result, to the base's files.
    const linked = async (to: string, name: string) => {
      await Deno.symlink(to, join(folder, name));
      return join(folder, name);
    };
    await refused(await linked(model, "link"), {});
    await refused(model, { output: await linked(run, "linked") });
    const apart = await copyBase(join(folder, "apart")), other = join(folder, "other");
    await Deno.mkdir(other);
    await linked(apart, "other/model");
    await refused(apart, { output: other });
    await Deno.mkdir(join(folder, "files"));
    for (const { name } of Deno.readDirSync(model)) {
      await linked(join(model, name), join("files", name));
    }
    await refused(join(folder, "files"), {});
    // A run that was begun this way can be continued elsewhere.
    const begun = (from: string) =>
      `choose another output: resume: "${from}" continues the run there`;
    await refused(model, { resume: "auto" }, begun(run));
    await refused(model, { resume: `${run}/checkpoint-1` }, begun(`${run}/checkpoint-1`));
    // Beside it, or around it, or with a longer name.
    await finetuneRecipe({ ...optionsOf(folder, { output: `${run}-2` }), model });
    await Deno.mkdir(join(apart, "run"));
    await finetuneRecipe({ ...optionsOf(folder, { output: join(apart, "run") }), model: apart });
    await pretrainRecipe({ ...optionsOf(folder, { output: join(folder, "mod") }), from: apart });
  }));

trainingTest(
  "a base that goes missing: the run says where everything is, and a resume saves the model",
  () =>
    withFolder(async (folder) => {
      const model = await copyBase(join(folder, "base")), away = join(folder, "away");
      const method = { optimizer: "galore_adamw", rank: 16, dtype: "float32" };
      const options = (change: Record<string, unknown>) =>
        finetuneOptions.parse({ model, ...optionsOf(folder, { ...method, ...change }) });
      const trainer = await Trainer.finetune(await sharedGpu(), options({}));
      const error = await assertRejects(async () => {
        for await (const event of trainer.run()) {
          if (event.type === "step" && event.step === 1) await Deno.rename(model, away);
        }
      }, UserError);
      const output = join(folder, "run"), checkpoint = join(output, "checkpoint-2");
      assertEquals(
        explain(error),
        "the model could not be saved: weights that were not trained are copied from the base: model " +
          `${model}: no such file or folder; all that was trained is saved in the checkpoint of step ` +
          `2, ${checkpoint}\n  hint: put the base back, or name the place where it is now as model; ` +
          'then add resume: "auto" to save the model without training again, or export the checkpoint',
      );
      assertEquals(trainer.saved, { checkpoint, checkpoint_step: 2 });
      const names = Array.from(Deno.readDirSync(output), ({ name }) => name).sort();
      assertEquals(names, ["checkpoint-2", "metrics.jsonl", "refreshes.jsonl", "run.json"]);
      const { events } = await runFinetuning(options({ model: away, resume: "auto" }));
      assertEquals(events.filter(({ type }) => type === "step"), []);
      // So is that of the checkpoint, which names the old place, where the new one is said.
      const exported = join(folder, "exported");
      await Deno.mkdir(exported);
      await assertRejects(() => saveCheckpointFolder(checkpoint, exported), UserError, model);
      await saveCheckpointFolder(checkpoint, exported, {}, away);
      assertEquals(
        await Deno.readFile(join(exported, "model.safetensors")),
        await Deno.readFile(join(output, "model", "model.safetensors")),
      );
      using saved = await Safetensors.open(join(output, "model"));
      using base = await Safetensors.open(away);
      const name = "model.embed_tokens.weight";
      assertEquals(await saved.readFloat32(name), await base.readFloat32(name));
    }),
);

/** Puts other weights of the same shapes in a model's place: one value of one matrix differs. */
async function replaceWeights(model: string): Promise<void> {
  const path = join(model, "model.safetensors");
  const file = await Safetensors.open(path);
  const entries = await Promise.all(
    [...file.tensors.values()].map(async (info) => ({ ...info, data: await file.read(info.name) })),
  );
  file.close();
  entries.find(({ name }) => name === "model.layers.0.self_attn.q_proj.weight")!.data[1] ^= 1;
  await writeSafetensors(path, entries, { format: "pt" });
}

trainingTest(
  "a base that another replaces: neither a resume nor an export takes it for the run's, wherever it is",
  () =>
    withFolder(async (folder) => {
      const model = await copyBase(join(folder, "base"));
      const run = (change: Record<string, unknown>) =>
        runFinetuning(finetuneOptions.parse({ model, ...optionsOf(folder, change) }));
      const body = { optimizer: "galore_adamw", rank: 16, output: join(folder, "body") };
      const lora = { optimizer: "lora", output: join(folder, "lora") };
      for (const options of [body, lora]) await run({ ...options, steps: 1 });
      // Elsewhere, but the same: what is in its files counts, not their names or times.
      await copyBase(join(folder, "moved"));
      for (const options of [body, lora]) {
        await run({ ...options, model: join(folder, "moved"), resume: "auto" });
      }
      await replaceWeights(join(folder, "moved"));
      for (const { output, ...options } of [body, lora]) {
        await assertRejects(
          () => run({ ...options, output, model: join(folder, "moved"), steps: 3, resume: "auto" }),
          UserError,
          `checkpoint ${output}/checkpoint-2 lacks the weights that are not trained, which must be ` +
            `those that the run started from: those in ${folder}/moved have changed since`,
        );
      }
      await assertRejects(
        () => openPretrained(join(body.output, "checkpoint-2")),
        UserError,
        `the weights in ${folder}/moved are not those that the run started from: their mark was`,
      );
      for (const path of ["adapter", "checkpoint-2"].map((name) => join(lora.output, name))) {
        using same = await openAdapted(model, path), other = await openAdapted(path);
        assertEquals(same.warnings, []);
        assertMatch(other.warnings.join(), /was trained on other weights than those in .*moved/);
      }
    }),
);
