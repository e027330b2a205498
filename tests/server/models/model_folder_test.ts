/** Which models exist, their names, and which can be deleted. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { dirname, join } from "@std/path";
import OpenAI from "openai";
import { scanModels } from "../../../src/server/models/scan.ts";
import type { JobRecord } from "../../../src/server/store/records.ts";
import type { Store } from "../../../src/server/store/store.ts";
import { type ModelServer, serverTest, withModelServer } from "../inference/support.ts";

/** Creates empty files with their folders; a string value makes a link to it. */
async function lay(root: string, files: Readonly<Record<string, string | null>>): Promise<void> {
  for (const [name, target] of Object.entries(files)) {
    const path = join(root, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    if (target === null) await Deno.writeTextFile(path, "");
    else await Deno.symlink(target, path);
  }
}

function insertJob(store: Store, id: string, change: Partial<JobRecord>): void {
  store.jobs.insert({
    id,
    kind: "fine_tuning",
    status: "succeeded",
    createdAt: 100,
    finishedAt: 200,
    turn: 1,
    model: "base",
    request: {},
    options: { optimizer: "q_galore_adamw8bit" },
    trainingFiles: [],
    validationFiles: [],
    plan: { plannedPeakBytes: 0, byPurpose: {} as never, diskBytes: 0 },
    resultFiles: [],
    ...change,
  });
}

Deno.test("the models of a folder, by name; what leads out of it is left out", async () => {
  const root = await Deno.makeTempDir(), folder = join(root, "models");
  await lay(root, {
    "outside/config.json": null,
    "outside/x.gguf": null,
    "models/a/config.json": null,
    "models/a/model.safetensors": null,
    "models/a.gguf": null,
    "models/b.GGUF": null,
    "models/org/c/config.json": null,
    "models/org/d.gguf": null,
    "models/org/deep/e/config.json": null,
    "models/org/f-00001-of-00002.gguf": null,
    "models/org/f-00002-of-00002.gguf": null,
    "models/g-00001-of-00002.gguf": null,
    "models/g-00002-of-00002.gguf": "../outside/x.gguf",
    // Its first part is missing, which whoever opens it is told.
    "models/h-00002-of-00002.gguf": null,
    "models/.hidden/config.json": null,
    "models/notes.txt": null,
    "models/empty/readme.md": null,
    // As the hub's cache lays them: links from one place of the folder to another.
    "models/blobs/1": null,
    "models/linked/config.json": "../blobs/1",
    "models/link.gguf": "blobs/1",
    "models/out": "../outside",
    "models/out.gguf": "../outside/x.gguf",
    "models/leaking/config.json": null,
    "models/leaking/model.safetensors": "../../outside/x.gguf",
    "models/loop": "loop",
    "models/self": ".",
    "models/up": "..",
  });
  const found = await scanModels(folder);
  assertEquals(
    found.map(({ name }) => name),
    ["a", "a.gguf", "b", "h", "link", "linked", "org/c", "org/d", "org/f"],
  );
  const pathOf = (wanted: string) => found.find(({ name }) => name === wanted)!.path;
  assert(pathOf("org/f").endsWith("/f-00001-of-00002.gguf"));
  assert(pathOf("link").endsWith("/link.gguf"));
  const real = await Deno.realPath(folder);
  assert(found.every(({ path }) => path.startsWith(real + "/")));
  assert(found.every(({ createdAt }) => Math.abs(createdAt - Date.now() / 1000) < 60));
  assertEquals(await scanModels(join(root, "nowhere")), []);
  assertEquals(await scanModels(join(root, "models/notes.txt")), []);
  await Deno.remove(root, { recursive: true });
});

/** Base models, two results, a checkpoint and an adapter without its model. */
const withModels = (run: (server: ModelServer) => Promise<void>) =>
  withModelServer({}, async (server) => {
    const { store, path, jobFolder } = server;
    await lay(path("."), { "base/config.json": null, "org/x.gguf": null });
    insertJob(store, "ftjob-full", { resultModel: "ft:base::obfull" });
    insertJob(store, "ftjob-lora", {
      model: "ft:base::obfull",
      options: { optimizer: "lora" },
      resultModel: "ft:ft:base::obfull:mine:oblora",
    });
    insertJob(store, "ftjob-lost", {
      model: "gone",
      options: { optimizer: "qlora" },
      resultModel: "ft:gone::oblost",
    });
    insertJob(store, "ftjob-paused", { status: "paused", model: "org/x" });
    const metrics = {};
    store.checkpoints.insert({
      id: "ftckpt-1",
      jobId: "ftjob-paused",
      step: 40,
      createdAt: 150,
      metrics,
    });
    await lay(jobFolder("ftjob-full"), { "model/config.json": null, "metrics.jsonl": null });
    await lay(jobFolder("ftjob-lora"), { "adapter/adapter_config.json": null });
    await run(server);
  });

serverTest(
  "base models, results and checkpoints are listed and found by the client",
  () =>
    withModels(async ({ client, store, models, path, jobFolder, url }) => {
      const listed = await Array.fromAsync(await client.models.list());
      assertEquals(listed.map(({ id, owned_by }) => [id, owned_by]), [
        ["base", "models-folder"],
        ["org/x", "models-folder"],
        ["ft:base::obfull", "job"],
        ["ft:ft:base::obfull:mine:oblora", "job"],
        ["ft:org/x::b-paused:ckpt-step-40", "job"],
      ]);
      for (const model of listed) assertEquals(await client.models.retrieve(model.id), model);
      const raw = await fetch(`${url}/v1/models/ft:org/x::b-paused:ckpt-step-40`);
      assertEquals(await raw.json(), listed[4] as unknown);

      const [base, , full, lora, checkpoint] = await models.list();
      assertEquals(base.path, path("base"));
      assertEquals([full.path, full.adapter], [join(jobFolder("ftjob-full"), "model"), undefined]);
      assertEquals([lora.path, lora.adapter], [
        full.path,
        join(jobFolder("ftjob-lora"), "adapter"),
      ]);
      assertEquals(checkpoint, {
        name: "ft:org/x::b-paused:ckpt-step-40",
        createdAt: 150,
        kind: "checkpoint",
        path: join(jobFolder("ftjob-paused"), "checkpoint-models", "step-40", "model"),
        jobId: "ftjob-paused",
        step: 40,
      });
      insertJob(store, "ftjob-part", { status: "paused", options: { optimizer: "lora" } });
      store.checkpoints.insert({
        id: "ftckpt-2",
        jobId: "ftjob-part",
        step: 5,
        createdAt: 160,
        metrics: {},
      });
      const part = await models.get("ft:base::job-part:ckpt-step-5");
      assertEquals(part.path, path("base"));
      assertEquals(
        part.adapter,
        join(jobFolder("ftjob-part"), "checkpoint-models", "step-5", "adapter"),
      );

      for (
        const name of ["nothing", "ft:gone::oblost", "../models/base", "base/config.json", "%"]
      ) {
        const error = await assertRejects(() => client.models.retrieve(name), OpenAI.NotFoundError);
        assertEquals([error.code, error.param], ["model_not_found", "model"], name);
      }
    }),
);

serverTest(
  "a result can be deleted, unless something stands upon it; nothing else can",
  () =>
    withModels(async ({ client, store, accounted, jobFolder, path }) => {
      const refused = (name: string, message: string, Kind: Parameters<typeof assertRejects>[1]) =>
        assertRejects(() => client.models.delete(name), Kind, message);
      await refused("base", "is in the models folder", OpenAI.PermissionDeniedError);
      await refused("ft:org/x::b-paused:ckpt-step-40", "is a ch", OpenAI.PermissionDeniedError);
      await refused("nothing", "does not exist", OpenAI.NotFoundError);
      const full = "ft:base::obfull", lora = "ft:ft:base::obfull:mine:oblora";
      await refused(full, `${lora} is an adapter of it`, OpenAI.ConflictError);

      assertEquals<unknown>(await client.models.delete(lora), {
        id: lora,
        object: "model",
        deleted: true,
      });
      await refused(lora, "does not exist", OpenAI.NotFoundError);
      assertEquals(store.jobs.get("ftjob-lora")!.resultModel, undefined);

      insertJob(store, "ftjob-more", { status: "queued", model: full });
      await refused(full, "ftjob-more trains it", OpenAI.ConflictError);
      store.jobs.update("ftjob-more", { status: "cancelled" });
      await Deno.writeTextFile(join(jobFolder("ftjob-full"), "model", "weights"), "1234567");
      await client.models.delete(full);
      assertEquals(accounted.at(-1), -7);
      const left = await Array.fromAsync(Deno.readDir(jobFolder("ftjob-full")));
      assertEquals(left.map(({ name }) => name), ["metrics.jsonl"]);
      assert(await Deno.stat(path("base")));
      const listed = await Array.fromAsync(await client.models.list());
      assertEquals(listed.map(({ id }) => id).slice(0, 2), ["base", "org/x"]);
      assertEquals(listed.length, 3);
    }),
);

serverTest("a result can be deleted though its record cannot be written yet", async () => {
  await withModelServer({}, async ({ store, database, models, client, jobFolder }) => {
    insertJob(store, "ftjob-full", { resultModel: "ft:base::obfull" });
    await lay(jobFolder("ftjob-full"), { "model/weights": null });
    database.sqlite.exec("PRAGMA query_only = ON");
    await client.models.delete("ft:base::obfull");
    assertEquals(await models.list(), []);
    assertEquals([...Deno.readDirSync(jobFolder("ftjob-full"))], []);
    const onDisk = () => database.prepare("SELECT result_model FROM jobs").get()!.result_model;
    assertEquals(onDisk(), "ft:base::obfull");
    database.sqlite.exec("PRAGMA query_only = OFF");
    store.held.flush();
    assertEquals(onDisk(), null);
  });
});

serverTest("a result that is talked to is taken from the GPU before it goes", async () => {
  const calls: string[] = [];
  await withModelServer({}, async ({ store, models, client, host }) => {
    insertJob(store, "ftjob-full", { resultModel: "ft:base::obfull" });
    Object.defineProperty(host, "loaded", { get: () => "ft:base::obfull" });
    host.unload = () => {
      calls.push("unload");
      return Promise.resolve();
    };
    await client.models.delete("ft:base::obfull");
    assertEquals([calls, await models.list()], [["unload"], []]);
  });
});
