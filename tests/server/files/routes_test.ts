import { assert, assertEquals, assertRejects } from "@std/assert";
import OpenAI, { APIError } from "openai";
import { fileRoutes } from "../../../src/server/http/routes/files.ts";
import { file, GOOD_LINE, job, postForm, uploadOf, withFilesServer } from "./support.ts";

async function fault(call: PromiseLike<unknown>): Promise<APIError> {
  return await assertRejects(async () => await call, APIError) as APIError;
}

Deno.test("files are listed in pages, by age and by purpose", async () => {
  await withFilesServer({}, async ({ client, url, services: { store } }) => {
    const ids = ["a", "b", "c", "d", "e"].map((letter) => `file-${letter.repeat(24)}`);
    ids.forEach((id, i) => {
      store.files.insert(file(id, { createdAt: i + 1, purpose: i % 2 ? "pretrain" : "fine-tune" }));
    });
    const listed = async (query: OpenAI.FileListParams) => {
      const found: string[] = [];
      for await (const { id } of client.files.list(query)) found.push(id);
      return found;
    };
    assertEquals(await listed({}), ids.toReversed());
    assertEquals(await listed({ order: "asc", limit: 2 }), ids); // three requests
    assertEquals(await listed({ purpose: "pretrain", limit: 1 }), [ids[3], ids[1]]);
    const page = await (await fetch(`${url}?limit=2&after=${ids[4]}`)).json();
    assertEquals([page.object, page.has_more], ["list", true]);
    assertEquals([page.first_id, page.last_id], [ids[3], ids[2]]);
    const none = await (await fetch(`${url}?purpose=other`)).json();
    assertEquals(none, {
      object: "list",
      data: [],
      has_more: false,
      first_id: null,
      last_id: null,
    });
    for (const query of ["limit=0", "limit=10001", "limit=x", "order=up", "after="]) {
      const response = await fetch(`${url}?${query}`);
      assertEquals(response.status, 400, query);
      assertEquals((await response.json()).error.param, query.split("=")[0]);
    }
  });
});

Deno.test("a missing file is not found, whatever its name", async () => {
  await withFilesServer({}, async ({ client, url }) => {
    for (const id of [`file-${"x".repeat(24)}`, "x", "..%2f..%2fserver.db", "%00", "file-"]) {
      for (const [path, method] of [["", "GET"], ["/content", "GET"], ["", "DELETE"]]) {
        const response = await fetch(`${url}/${id}${path}`, { method });
        assertEquals(response.status, 404, `${method} ${id}${path}`);
        await response.body?.cancel();
      }
    }
    assertEquals((await fault(client.files.retrieve("file-1"))).code, "not_found");
  });
});

Deno.test("a file goes with its bytes, but not from a job that needs it", async () => {
  await withFilesServer({}, async ({ client, url, names, services: { store } }) => {
    const { json: { id } } = await postForm(url, uploadOf(GOOD_LINE));
    const name = `ftjob-${"j".repeat(24)}`;
    store.jobs.insert(job(name, { trainingFiles: [id] }));
    const error = await fault(client.files.delete(id));
    assertEquals([error.status, error.code], [409, "file_in_use"]);
    assert(error.message.includes(name), error.message);
    assertEquals(names().length, 1);
    store.jobs.update(name, { status: "succeeded" });
    assertEquals(await client.files.delete(id), { id, object: "file", deleted: true });
    assertEquals(names(), []);
    assertEquals((await fault(client.files.delete(id))).status, 404);
  });
});

Deno.test("the document shows the form of an upload", () => {
  const document = fileRoutes({} as Parameters<typeof fileRoutes>[0])
    .getOpenAPI31Document({ openapi: "3.1.0", info: { title: "", version: "" } });
  const { post, get } = document.paths!["/v1/files"];
  const form = post!.requestBody as { content: Record<string, { schema: { required: string[] } }> };
  assertEquals(form.content["multipart/form-data"].schema.required, ["file", "purpose"]);
  assertEquals(get!.parameters!.length, 4);
});
