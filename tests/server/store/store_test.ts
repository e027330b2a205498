import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { DatabaseSync } from "node:sqlite";
import { UserError } from "../../../src/options/user_error.ts";
import { Database } from "../../../src/server/store/database.ts";
import { Store } from "../../../src/server/store/store.ts";
import { file, job, message, step, withStore } from "./support.ts";

Deno.test("a store is there again when it is opened again", () =>
  withStore((store, path) => {
    store.jobs.insert(job());
    store.close();
    const again = Store.open(path);
    assertEquals(again.jobs.get("ftjob-1"), job());
    again.close();
  }));

Deno.test("a store of a newer version is refused and left unchanged", () =>
  withStore((_, path) => {
    const db = new DatabaseSync(path);
    db.exec("PRAGMA user_version = 99");
    const error = assertThrows(
      () => Store.open(path),
      UserError,
      `${path} has version 99, but this program supports up to 3`,
    );
    assert(error.hint!.includes("use that, or another data folder"));
    assertEquals(db.prepare("PRAGMA user_version").get()?.user_version, 99);
    db.close();
  }));

Deno.test("a file that is no database is refused", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, "these are not the bytes of a database".repeat(100));
  assertThrows(() => Store.open(path), Error, "not a database");
  await Deno.remove(path);
});

Deno.test("a transaction is atomic, and a nested one is part of it", () =>
  withStore((store) => {
    assertThrows(
      () =>
        store.transaction(() => {
          store.jobs.insert(job());
          store.transaction(() => store.files.insert(file()));
          throw new Error("no");
        }),
      Error,
      "no",
    );
    assertEquals([store.jobs.get("ftjob-1"), store.files.get("file-1")], [undefined, undefined]);
    assertEquals(store.transaction(() => store.transaction(() => 7)), 7);
  }));

Deno.test("a copy made as the documents say, while the server runs, is whole", () =>
  withStore((store, path) => {
    store.files.insert(file());
    store.jobs.insert(job());
    const other = new DatabaseSync(path), copy = `${path}.copy`;
    other.exec(`VACUUM INTO '${copy}'`);
    other.close();
    store.jobs.update("ftjob-1", { status: "running" });
    const backup = Store.open(copy);
    assertEquals([backup.jobs.get("ftjob-1"), backup.files.get("file-1")], [job(), file()]);
    backup.close();
  }));

Deno.test("another process's writes are seen: a key made beside a running server", () =>
  withStore((server, path) => {
    const command = Store.open(path);
    const { secret } = command.keys.create("a");
    command.close();
    assertEquals(server.keys.verify(secret)?.name, "a");
  }));

Deno.test("no query is compiled again, whatever its values", () =>
  withStore((opened, path) => {
    opened.close();
    const database = Database.open(path), store = Store.over(database);
    store.jobs.insert(job());
    for (let i = 1; i <= 5; i++) store.events.append("ftjob-1", step(i), 0);
    const ask = (n: number) => {
      store.events.since(n, { limit: n });
      store.events.since(n, { jobId: "ftjob-1", limit: n });
      store.events.list("ftjob-1", { after: String(n), limit: n });
      store.events.keyed("ftjob-1", `warning${n}`, n);
      store.events.metrics("ftjob-1", { maxPoints: n });
      store.events.latest(`ftjob-${n}`);
      store.events.best(`ftjob-${n}`);
      store.events.lastSeq(`ftjob-${n}`);
      store.jobs.get(`ftjob-${n}`);
      store.jobs.status(`ftjob-${n}`);
      store.jobs.list({ kind: "fine_tuning", limit: n });
      store.jobs.withStatus("queued", "running", "paused").slice(n);
      store.jobs.usingFile(`file-${n}`);
      store.files.list({ order: n % 2 ? "asc" : "desc", limit: n });
      store.files.list({ order: n % 2 ? "desc" : "asc", limit: n });
      store.checkpoints.list("ftjob-1", { limit: n });
      store.keys.verify(`sk-${n}`);
      store.keys.activeIds();
    };
    // SQLite asks an authorizer while it compiles; a new one has everything compiled again, once.
    let compiled = 0;
    // Deno's types do not have it yet.
    const { sqlite } = database as unknown as { sqlite: { setAuthorizer(fn: () => 0): void } };
    sqlite.setAuthorizer(() => {
      compiled++;
      return 0;
    });
    ask(2);
    assert(compiled > 0);
    compiled = 0;
    ask(3);
    assertEquals(compiled, 0);
    store.close();
  }));

Deno.test("sync: many at once, over the end of the store, and in memory", async () => {
  await withStore(async (store) => {
    store.jobs.insert(job());
    for (let count = 0; count < 5; count++) {
      store.events.append("ftjob-1", message("a"), 1);
      await Promise.all([store.sync(), store.sync(), store.sync()]);
    }
    const last = store.sync();
    store.close();
    store.close();
    await last;
    await store.sync();
  });
  const memory = Store.open(":memory:");
  await memory.sync();
  memory.close();
});

Deno.test("SIGKILL while appending: committed events survive, and the store opens", async () => {
  const folder = await Deno.makeTempDir({ prefix: "store-" });
  const path = join(folder, "server.sqlite");
  const script = fromFileUrl(new URL("append_forever.ts", import.meta.url));
  for (const lines of [1, 200, 2000]) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, path],
      stdout: "piped",
    }).spawn();
    let told = "";
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      told += decoder.decode(bytes);
      if (told.split("\n").length <= lines) continue;
      child.kill("SIGKILL");
      break;
    }
    assertEquals((await child.status).signal, "SIGKILL");
    const numbers = told.split("\n").slice(0, -1).map(Number);
    assert(numbers.length >= lines);
    const store = Store.open(path);
    const kept = store.events.since(0, { limit: 1e6 }).map(({ seq }) => seq);
    assertEquals(kept.slice(0, numbers.length), numbers);
    assertEquals(store.events.append("ftjob-1", message("on"), 1)?.seq, kept.length + 1);
    store.close();
    for await (const { name } of Deno.readDir(folder)) await Deno.remove(join(folder, name));
  }
  await Deno.remove(folder, { recursive: true });
});
