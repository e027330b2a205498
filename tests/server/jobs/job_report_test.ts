/** The report of a job, as the API gives it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { createServer } from "../../../src/server/http/app.ts";
import { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { namesIn } from "../../../src/files/names_in.ts";
import { type JobsApi, withJobsApi } from "../jobs_api/support.ts";

type Served = JobsApi & {
  readonly root: string;
  readonly dataFolder: DataFolder;
  /** The answer for a job of fine-tuning. */
  report(id: string, method?: string): Promise<Response>;
};

async function withReports(use: (served: Served) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "a & b " });
  const dataFolder = await DataFolder.open(join(root, "data"));
  try {
    await withJobsApi({}, async (api) => {
      const app = createServer({ ...api.services, storage: dataFolder });
      const report = async (id: string, method = "GET") =>
        await app.request(`/v1/fine_tuning/jobs/${id}/report`, { method });
      await use({ ...api, root, dataFolder, report });
    });
  } finally {
    dataFolder.close();
    await Deno.remove(root, { recursive: true });
  }
}

async function queued({ client, file }: Served) {
  const training_file = file(), hyperparameters = { seq_len: 64 } as object;
  const { id } = await client.fineTuning.jobs.create({
    model: "tiny",
    training_file,
    hyperparameters,
  });
  return { id, training_file };
}

/** A job that has trained a step; its id. */
async function trained(
  served: Served,
  { model, sample = "" }: { readonly model: string; readonly sample?: string },
): Promise<string> {
  const { services, dataFolder } = served, { id, training_file } = await queued(served);
  const folder = dataFolder.jobFolder(id);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "metrics.jsonl"), stepLine(1));
  await Deno.writeTextFile(
    join(folder, "samples.jsonl"),
    `${JSON.stringify({ step: 1, prompt: sample, text: sample })}\n`,
  );
  const data = [dataFolder.filePath(services.store.files.get(training_file)!)];
  const options = { model, data, output: folder, samplePrompt: sample };
  await Deno.writeTextFile(join(folder, "run.json"), JSON.stringify({ options }));
  return id;
}

const stepLine = (step: number) => `${JSON.stringify({ step, loss: 2.5, lr: 0.1 })}\n`;

Deno.test("a job's report is made when it is asked for, and written nowhere", async () => {
  await withReports(async (served) => {
    const { dataFolder, services, root, report } = served;
    const none = await report((await queued(served)).id);
    assertEquals(none.status, 404);
    const { error } = await none.json();
    assertEquals([error.code, error.param], ["no_report", "id"]);
    assert(!error.message.includes(root), error.message);

    const id = await trained(served, { model: "/srv/models/tiny" });
    const folder = dataFolder.jobFolder(id), before = await namesIn(folder);
    const first = await report(id);
    assertEquals(first.status, 200);
    assertStringIncludes(first.headers.get("content-type")!, "text/html");
    const policy = first.headers.get("content-security-policy")!;
    assert(policy.includes("sandbox") && policy.includes("style-src 'unsafe-inline'"), policy);
    assertEquals(first.headers.get("x-content-type-options"), "nosniff");
    const page = await first.text();
    const [training_file] = services.store.jobs.get(id)!.trainingFiles;
    for (const text of ["2.5000", training_file, id, "<svg"]) assertStringIncludes(page, text);
    assertStringIncludes(page, "<td>Steps</td><td>1</td>");

    // As far as it has come, whatever page lies there: that of a run is made before its last event.
    await Deno.writeTextFile(join(folder, "metrics.jsonl"), stepLine(1) + stepLine(2));
    services.store.jobs.update(id, { status: "succeeded" });
    assertStringIncludes(await (await report(id)).text(), "<td>Steps</td><td>2</td>");
    assertEquals(await namesIn(folder), before);
    const head = await report(id, "HEAD");
    assertEquals([head.status, await head.text()], [200, ""]);
  });
});

Deno.test("a report names no path of the server, and leaves texts as they are", async () => {
  await withReports(async (served) => {
    const { root, dataFolder, report } = served;
    // Folders of models that are relative, the root, or links end up as some real path in run.json.
    for (const model of ["/srv/app/models/tiny", "/tiny", "models/tiny"]) {
      const sample = `models/ ./ / </td> ${dataFolder.path}`;
      const page = await (await report(await trained(served, { model, sample }))).text();
      assert(!page.includes(model), `${model}: a path of the server`);
      assertStringIncludes(page, "<td>model</td><td>tiny</td>");
      const kept = "models/ ./ / &lt;/td&gt; ";
      assertStringIncludes(page, `<pre>${kept}`);
      assertEquals(page.split("<td>").length, page.split("</td>").length);
      const own = page.replaceAll(`${kept}${dataFolder.path.replaceAll("&", "&amp;")}`, "");
      assert(!own.includes(root) && !own.includes("a &amp; b"), "a path of the server");
    }
  });
});

Deno.test("reports are made one at a time, and again only when their run has gone on", async () => {
  await withReports(async (served) => {
    const { dataFolder, report } = served;
    const ids = [await trained(served, { model: "/a" }), await trained(served, { model: "/b" })];
    const Command = Deno.Command;
    let started = 0, running = 0, most = 0;
    Deno.Command = class extends Command {
      override spawn(): Deno.ChildProcess {
        const child = super.spawn();
        started++;
        most = Math.max(most, ++running);
        child.status.then(() => running--);
        return child;
      }
    };
    try {
      const ask = async (id: string) => await (await report(id)).text();
      const pages = await Promise.all([...ids, ...ids, ...ids].map(ask));
      assertEquals([started, most], [2, 1]);
      assertEquals(await ask(ids[0]), pages[0]);
      assertEquals(started, 2);
      await Deno.writeTextFile(
        join(dataFolder.jobFolder(ids[0]), "metrics.jsonl"),
        stepLine(1) + stepLine(2),
      );
      await ask(ids[0]);
      assertEquals(started, 3);
    } finally {
      Deno.Command = Command;
    }
  });
});
