import { assert, assertEquals, assertMatch, assertNotEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { DiskError } from "../../../src/files/disk_error.ts";
import { Database } from "../../../src/server/store/database.ts";
import { Store } from "../../../src/server/store/store.ts";
import { withStore } from "./support.ts";

Deno.test("a secret opens until its key is revoked", () =>
  withStore(({ keys }) => {
    assertEquals(keys.anyActive(), false);
    assertEquals(keys.verify("sk-anything"), undefined);
    const one = keys.create("laptop"), two = keys.create("laptop");
    // 32 bytes in base64url.
    assertMatch(one.secret, /^sk-[\w-]{43}$/);
    assertNotEquals(one.secret, two.secret);
    assertEquals(keys.verify(one.secret)?.id, one.record.id);
    assertEquals(keys.verify(two.secret)?.id, two.record.id);
    for (const wrong of ["", "sk-", one.secret.slice(0, -1), `${one.secret}x`, "sk-\u{1F999}"]) {
      assertEquals(keys.verify(wrong), undefined);
    }
    assertEquals(keys.revoke(one.record.id), true);
    assertEquals(keys.revoke(one.record.id), false);
    assertEquals(keys.revoke("key-none"), false);
    assertEquals(keys.verify(one.secret), undefined);
    assertEquals(keys.verify(two.secret)?.id, two.record.id);
    assertEquals(keys.list().map(({ id }) => id), [one.record.id, two.record.id]);
    assert(keys.list()[0].revokedAt);
    assertEquals(keys.anyActive(), true);
    keys.revoke(two.record.id);
    assertEquals(keys.anyActive(), false);
  }));

Deno.test("the use of a key is noted, once a minute at most", () =>
  withStore(({ keys }) => {
    const { record, secret } = keys.create("a");
    assertEquals(record.lastUsedAt, undefined);
    const clock = Date.now, start = 1_800_000_000;
    try {
      for (const [seconds, noted] of [[0, 0], [59, 0], [60, 60], [61, 60], [-7200, -7200]]) {
        Date.now = () => (start + seconds) * 1000;
        assertEquals(keys.verify(secret)?.lastUsedAt, start + noted);
        assertEquals(keys.list()[0].lastUsedAt, start + noted);
      }
    } finally {
      Date.now = clock;
    }
  }));

Deno.test("what is kept of a secret is its SHA-256", () =>
  withStore(async ({ keys }, path) => {
    const { secret } = keys.create("a");
    const expected = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
    const db = new DatabaseSync(path, { readOnly: true });
    const { hash } = db.prepare("SELECT hash FROM keys").get()!;
    db.close();
    assertEquals(hash, new Uint8Array(expected));
    for (const file of [path, `${path}-wal`]) {
      const bytes = new TextDecoder("latin1").decode(await Deno.readFile(file));
      assert(!bytes.includes(secret.slice(3)), `${file} holds the secret`);
    }
  }));

Deno.test("a key opens on a disk that cannot note its use", () => {
  const database = Database.open(":memory:"), store = Store.over(database);
  const { secret } = store.keys.create("a");
  database.sqlite.exec("PRAGMA query_only = ON");
  assertEquals(store.keys.verify(secret)?.name, "a");
  assertThrows(() => store.keys.create("b"), DiskError, "cannot be written");
  store.close();
});
