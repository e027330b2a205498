import { assertEquals, assertRejects } from "@std/assert";
import { plainBytes } from "../../src/data/byte_source.ts";
import { UserError } from "../../src/options/user_error.ts";

Deno.test("a file that is cut while it is used is no shorter file, and one that grows no longer one", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "one\ntwo\n");
    const source = plainBytes(path, 8, "lines.txt");
    const read = () => new Response(ReadableStream.from(source.chunks(0, 4))).text();
    assertEquals(await read(), "one\ntwo\n");
    await Deno.writeTextFile(path, "one\ntwo\nthree\n");
    assertEquals(await read(), "one\ntwo\n");
    // At the end of a line, where nothing else would show it.
    await Deno.truncate(path, 4);
    await assertRejects(
      () => read(),
      UserError,
      "lines.txt: cannot be read: it ends after 4 bytes, and had 8 before",
    );
  } finally {
    await Deno.remove(path);
  }
});
