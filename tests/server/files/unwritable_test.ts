/** Files whose records cannot be written or deleted because of the disk. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { Retention } from "../../../src/server/jobs/retention.ts";
import { Database } from "../../../src/server/store/database.ts";
import { Store } from "../../../src/server/store/store.ts";
import {
  type FilesServer,
  GOOD_LINE,
  postForm,
  type Setup,
  uploadOf,
  withFilesServer,
} from "./support.ts";

/** With a database that can be made read-only, as on a disk that has nothing left. */
async function withDatabase(
  setup: Setup,
  use: (server: FilesServer, writable: (is: boolean) => void) => Promise<void>,
): Promise<void> {
  const database = Database.open(":memory:"), store = Store.over(database);
  await withFilesServer(
    { ...setup, store },
    (server) =>
      use(server, (is) => database.sqlite.exec(`PRAGMA query_only = ${is ? "OFF" : "ON"}`)),
  );
}

Deno.test("an upload whose record the disk does not take leaves nothing", async () => {
  await withDatabase({}, async ({ url, names, services: { store } }, writable) => {
    writable(false);
    const { status, json } = await postForm(url, uploadOf(GOOD_LINE));
    assertEquals([status, json.error!.code], [507, "disk_error"]);
    assertEquals([names(), store.files.bytes()], [[], 0]);
    writable(true);
    assertEquals((await postForm(url, uploadOf(GOOD_LINE))).status, 200);
  });
});

Deno.test("a file can be deleted though its record cannot: its room is free at once", async () => {
  await withDatabase({}, async ({ client, url, names, services }, writable) => {
    const { store, storage } = services;
    const [kept, gone] = [
      await postForm(url, uploadOf(GOOD_LINE)),
      await postForm(url, uploadOf(GOOD_LINE)),
    ]
      .map(({ json }) => json.id);
    writable(false);
    const before = await storage.used();
    assertEquals((await client.files.delete(gone)).deleted, true);
    assertEquals(before - await storage.used(), GOOD_LINE.length);
    assertEquals((await client.files.list()).data.map(({ id }) => id), [kept]);
    const error = await client.files.retrieve(gone).then(() => undefined, (error) => error);
    assertEquals(error.status, 404);
    const sizes = () =>
      names().map((name) => [name, Deno.statSync(join(storage.filesFolder, name)).size]);
    const mark = [`${gone}.jsonl.deleted`, 0];
    assertEquals(sizes().sort(), [[`${kept}.jsonl`, GOOD_LINE.length], mark].sort());
    writable(true);
    assertEquals(store.held.attempt(), true);
    for (let i = 0; i < 100 && names().length > 1; i++) {
      await new Promise((go) => setTimeout(go, 5));
    }
    assertEquals(names(), [`${kept}.jsonl`]);
  });
});

Deno.test("a deletion that a crash interrupted is finished by the next start", async () => {
  await withDatabase({}, async ({ url, names, services }, writable) => {
    const { json: { id } } = await postForm(url, uploadOf(GOOD_LINE));
    const { json: { id: other } } = await postForm(url, uploadOf(GOOD_LINE));
    const path = services.storage.filePath({ id, filename: "data.jsonl" });
    await Deno.rename(path, `${path}.deleted`);
    // First on a disk that still is full.
    writable(false);
    await new Retention(services).sweepLeftovers();
    assertEquals(services.store.files.get(id), undefined);
    assertEquals(names().length, 2);
    writable(true);
    await new Retention(services).sweepLeftovers();
    services.store.held.flush();
    for (let i = 0; i < 100 && names().length > 1; i++) {
      await new Promise((go) => setTimeout(go, 5));
    }
    assertEquals(names(), [`${other}.jsonl`]);
    assertEquals(services.store.files.delete(id), false);
  });
});
