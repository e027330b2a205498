/** The report of a job, as the API gives it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { createServer } from "../../../src/server/http/app.ts";
import { DataFolder } from "../../../src/server/storage/data_folder.ts";
import { withJobsApi } from "../jobs_api/support.ts";

Deno.test("a job's report is made when it is asked for, and names no path of the server", async () => {
  const root = await Deno.makeTempDir({ prefix: "a & b " });
  const dataFolder = await DataFolder.open(join(root, "data"));
  try {
    await withJobsApi({}, async ({ services, client, file }) => {
      const training_file = file();
      const { id } = await client.fineTuning.jobs.create({
        model: "tiny",
        training_file,
        hyperparameters: { seq_len: 64 } as object,
      });
      const storage = dataFolder, app = createServer({ ...services, storage });
      const path = `/v1/fine_tuning/jobs/${id}/report`;
      const none = await app.request(path);
      assertEquals(none.status, 404);
      const { error } = await none.json();
      assertEquals([error.code, error.param], ["no_report", "id"]);
      assert(!error.message.includes(root), error.message);

      const folder = storage.jobFolder(id);
      await Deno.mkdir(folder, { recursive: true });
      const step = (step: number) => `${JSON.stringify({ step, loss: 2.5, lr: 0.1 })}\n`;
      await Deno.writeTextFile(join(folder, "metrics.jsonl"), step(1));
      const data = storage.filePath(services.store.files.get(training_file)!);
      const model = join(services.options.modelsFolder, "tiny");
      const options = { model, data: [data], output: folder };
      await Deno.writeTextFile(join(folder, "run.json"), JSON.stringify({ options }));
      const report = await app.request(path);
      assertEquals(report.status, 200);
      assertStringIncludes(report.headers.get("content-type")!, "text/html");
      const policy = report.headers.get("content-security-policy")!;
      assert(policy.includes("sandbox") && policy.includes("style-src 'unsafe-inline'"), policy);
      assertEquals(report.headers.get("x-content-type-options"), "nosniff");
      const page = await report.text();
      for (const text of ["2.5000", training_file, id, "<svg"]) assertStringIncludes(page, text);
      assert(!page.includes("a &amp; b") && !page.includes(root), "a path of the server");

      // As far as it has come.
      await Deno.writeTextFile(join(folder, "metrics.jsonl"), step(1) + step(2));
      const later = await (await app.request(path)).text();
      assert(
        page.includes("<td>Steps</td><td>1</td>") && later.includes("<td>Steps</td><td>2</td>"),
      );
      // That of a run that has succeeded is its own.
      services.store.jobs.update(id, { status: "succeeded" });
      await Deno.writeTextFile(join(folder, "report.html"), "its own");
      assertEquals(await (await app.request(path)).text(), "its own");
      const head = await app.request(path, { method: "HEAD" });
      assertEquals([head.status, await head.text()], [200, ""]);
    });
  } finally {
    dataFolder.close();
    await Deno.remove(root, { recursive: true });
  }
});
