/** The database where its disk cannot take a write. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { DiskError, DiskFullError } from "../../../src/files/disk_error.ts";
import { Database } from "../../../src/server/store/database.ts";
import { isThere } from "../../../src/files/stat.ts";
import { Reserve } from "../../../src/server/store/reserve.ts";
import { Store } from "../../../src/server/store/store.ts";
import { file, job, message, withStore } from "./support.ts";

interface Limited {
  readonly store: Store;
  readonly database: Database;
  readonly path: string;
  /** SQLite reports a full disk as soon as the database would have to grow; undefined lifts that. */
  limit(limited: boolean): void;
}

function withDatabase(use: (limited: Limited) => Promise<void> | void): Promise<void> {
  return withStore(async (opened, path) => {
    opened.close();
    const database = Database.open(path), store = Store.over(database);
    const { page_count } = database.sqlite.prepare("PRAGMA page_count").get()!;
    const limit = (limited: boolean) =>
      database.sqlite.exec(`PRAGMA max_page_count = ${limited ? page_count : 4294967294}`);
    try {
      await use({ store, database, path, limit });
    } finally {
      store.close();
    }
  });
}

const BIG = "x".repeat(50_000);

Deno.test("a full disk is reported as such, rolls back, and the next write succeeds", () =>
  withDatabase(({ store, limit, path }) => {
    store.jobs.insert(job());
    limit(true);
    const error = assertThrows(
      () =>
        store.transaction(() => {
          store.jobs.update("ftjob-1", { reason: "small" });
          store.events.append("ftjob-1", message(BIG), 1);
        }),
      DiskFullError,
      `${path} cannot be written: its disk is full`,
    );
    assert(error.hint!.includes("delete files or models"));
    assertEquals(store.jobs.get("ftjob-1"), job(), "all or nothing");
    assertThrows(() => store.events.append("ftjob-1", message(BIG), 1), DiskFullError);
    limit(false);
    assertEquals(store.events.append("ftjob-1", message(BIG), 1)?.seq, 1);
  }));

Deno.test("a disk that has become read-only is no full one", () =>
  withDatabase(({ store, database, path }) => {
    database.sqlite.exec("PRAGMA query_only = ON");
    assertThrows(() => store.jobs.insert(job()), DiskError, `${path} cannot be written: `);
    assertEquals(store.jobs.get("ftjob-1"), undefined);
  }));

Deno.test("the reserve is given up for a write, which is then made once", () =>
  withDatabase(({ store, database, limit }) => {
    let given = 0;
    Object.assign(database.reserve, {
      release: () => {
        given++;
        limit(false);
        return given === 1;
      },
    });
    store.jobs.insert(job());
    limit(true);
    const heard: string[] = [];
    store.transaction(() => {
      store.afterCommit(() => heard.push("committed"));
      store.events.append("ftjob-1", message(BIG), 1);
      store.jobs.update("ftjob-1", { reason: BIG });
    });
    assertEquals([given, heard], [1, ["committed"]]);
    assertEquals(store.events.since(0, { limit: 9 }).length, 1);
    limit(true);
    assertThrows(() => store.events.append("ftjob-1", message(BIG), 1), DiskFullError);
    assertEquals(given, 2);
  }));

Deno.test("whoever waits for a commit hears nothing of what was rolled back", () =>
  withDatabase(({ store }) => {
    const heard: string[] = [];
    assertThrows(() =>
      store.transaction(() => {
        store.afterCommit(() => heard.push("never"));
        throw new Error("no");
      })
    );
    store.transaction(() => store.afterCommit(() => heard.push("committed")));
    store.afterCommit(() => heard.push("now"));
    assertEquals(heard, ["committed", "now"]);
  }));

Deno.test("opening and closing a database changes no byte of it", () =>
  withDatabase(({ store, path }) => {
    store.jobs.insert(job());
    store.close();
    const before = Deno.readFileSync(path);
    Store.open(path).close();
    assertEquals(Deno.readFileSync(path), before);
  }));

Deno.test("a deletion that has to wait is one for readers at once", () =>
  withDatabase(({ store, database }) => {
    for (const id of ["file-1", "file-2"]) store.files.insert(file({ id, expiresAt: 5 }));
    database.sqlite.exec("PRAGMA query_only = ON");
    store.files.holdDeletion("file-1", () => void store.files.delete("file-1"));
    assertEquals(store.held.attempt(), false);
    const seen = () => [
      store.files.get("file-1"),
      store.files.list({ limit: 1, order: "asc" }).data.map(({ id }) => id),
      store.files.expired(9).map(({ id }) => id),
    ];
    assertEquals(seen(), [undefined, ["file-2"], ["file-2"]]);
    database.sqlite.exec("PRAGMA query_only = OFF");
    assertEquals(store.held.attempt(), true);
    assertEquals(seen(), [undefined, ["file-2"], ["file-2"]]);
    assertEquals(store.files.delete("file-1"), false);
  }));

Deno.test("a log that someone has deleted keeps nothing: that is reported", () =>
  withDatabase(async ({ store, path }) => {
    store.jobs.insert(job());
    await store.sync();
    await Deno.remove(`${path}-wal`);
    const error = await store.sync().then(() => undefined, (error) => error);
    assertEquals(error?.code, "ENOENT");
  }));

Deno.test({
  name: "a database opens where not even SQLite's shared file has room, and says what it cannot do",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withStore(async (store, path) => {
      store.jobs.insert(job());
      store.close();
      for await (const { name } of Deno.readDir(join(path, ".."))) {
        assertEquals(name, "server.sqlite", "no -shm is left");
      }
      const script = fromFileUrl(new URL("open_limited.ts", import.meta.url));
      // No file may grow beyond 8 KiB: the shared one takes 32.
      const { stdout, stderr } = await new Deno.Command("sh", {
        args: [
          "-c",
          'trap "" XFSZ; ulimit -f 16; exec "$0" run -A --no-check --no-code-cache "$1" "$2"',
          Deno.execPath(),
          script,
          path,
        ],
      }).output();
      const said = new TextDecoder().decode(stdout);
      assert(said, new TextDecoder().decode(stderr));
      assertEquals(JSON.parse(said), { status: "queued", written: "disk_error" });
    }),
});

Deno.test("a locked database is reported with what locks it", () =>
  withDatabase(({ store, database, path }) => {
    database.sqlite.exec("PRAGMA busy_timeout = 1");
    const other = Database.open(path);
    other.sqlite.exec("BEGIN IMMEDIATE");
    assertThrows(() => store.jobs.insert(job()), DiskError, "is locked by another process");
    other.sqlite.exec("ROLLBACK");
    other.close();
  }));

Deno.test("nothing is written through a link in the reserve's place, nor counted", async () => {
  const folder = await Deno.makeTempDir(),
    MIB = 2 ** 20,
    room = { left: 9 * MIB, diskBytes: 999 * MIB };
  const reserve = new Reserve(join(folder, Reserve.NAME)), precious = join(folder, "precious");
  await Deno.writeTextFile(precious, "precious");
  for (const target of [precious, join(folder, "nowhere"), folder]) {
    await Deno.symlink(target, reserve.path);
    assertEquals([reserve.bytes, reserve.release()], [0, false]);
    await Deno.symlink(target, reserve.path);
    await reserve.keep(room);
    assertEquals([reserve.bytes, reserve.release()], [8 * MIB, true]);
  }
  await Deno.mkdir(join(reserve.path, "not empty"), { recursive: true });
  await reserve.keep(room);
  assertEquals([reserve.bytes, reserve.release()], [0, false]);
  assertEquals(await Deno.readTextFile(precious), "precious");
  assertEquals(await isThere(join(folder, "nowhere")), false);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the reserve takes real bytes, a small share of a small disk, and only spare room", async () => {
  const folder = await Deno.makeTempDir();
  const reserve = new Reserve(join(folder, Reserve.NAME)), MIB = 2 ** 20;
  assertEquals([reserve.bytes, reserve.release()], [0, false]);
  await reserve.keep({ left: 8 * MIB - 1, diskBytes: 1000 * MIB });
  assertEquals(reserve.bytes, 0);
  await reserve.keep({ left: 8 * MIB, diskBytes: 1000 * MIB });
  assertEquals(reserve.bytes, 8 * MIB);
  const { blocks } = await Deno.stat(reserve.path);
  assert(blocks === null || 512 * blocks >= 8 * MIB, `${blocks} blocks`);
  assertEquals([reserve.release(), reserve.bytes], [true, 0]);
  await reserve.keep({ left: 8 * MIB, diskBytes: 40 * MIB });
  assertEquals(reserve.bytes, 1.25 * MIB);
  await Deno.remove(folder, { recursive: true });
});
