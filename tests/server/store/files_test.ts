import { assertEquals, assertThrows } from "@std/assert";
import { ApiError } from "../../../src/server/api_error.ts";
import { file, withStore } from "./support.ts";

Deno.test("a file comes back as it was put in", () =>
  withStore(({ files }) => {
    const kept = file({ filename: "ein 'Name' – \u{1F999}.jsonl", expiresAt: 1_700_000_100 });
    files.insert(kept);
    assertEquals(files.get(kept.id), kept);
    assertEquals(files.get("file-2"), undefined);
    assertThrows(() => files.insert(kept), Error, "files.insert: file-1 is there already");
  }));

Deno.test("files are listed a page at a time, in both orders and by purpose", () =>
  withStore(({ files }) => {
    const all = Array.from(
      { length: 7 },
      (_, index) =>
        file({ id: `file-${index}`, purpose: index % 2 ? "fine-tune-results" : "fine-tune" }),
    );
    all.forEach((each) => files.insert(each));
    for (const order of ["asc", "desc"] as const) {
      const seen: string[] = [], more: boolean[] = [];
      let after: string | undefined;
      for (;;) {
        const { data, hasMore } = files.list({ after, limit: 3, order });
        seen.push(...data.map(({ id }) => id));
        more.push(hasMore);
        if (!hasMore) break;
        after = data.at(-1)!.id;
      }
      const ids = all.map(({ id }) => id);
      assertEquals(seen, order === "asc" ? ids : ids.reverse());
      assertEquals(more, [true, true, false]);
    }
    const results = files.list({ limit: 3, order: "asc", purpose: "fine-tune-results" });
    assertEquals(results.data.map(({ id }) => id), ["file-1", "file-3", "file-5"]);
    assertEquals(results.hasMore, false);
  }));

Deno.test("a list after a file that is not there names the parameter", () =>
  withStore(({ files }) => {
    const error = assertThrows(
      () => files.list({ after: "file-9", limit: 1, order: "asc" }),
      ApiError,
      "No such file: file-9",
    );
    assertEquals([error.status, error.details.param], [404, "after"]);
  }));

Deno.test("what expires, what it all takes, and what is deleted", () =>
  withStore(({ files }) => {
    assertEquals(files.bytes(), 0);
    files.insert(file({ id: "file-1", bytes: 10 }));
    files.insert(file({ id: "file-2", bytes: 20, expiresAt: 500 }));
    files.insert(file({ id: "file-3", bytes: 2 ** 40, expiresAt: 501 }));
    assertEquals(files.bytes(), 30 + 2 ** 40);
    assertEquals(files.expired(500).map(({ id }) => id), ["file-2"]);
    assertEquals(files.delete("file-2"), true);
    assertEquals(files.delete("file-2"), false);
    assertEquals(files.bytes(), 10 + 2 ** 40);
  }));
