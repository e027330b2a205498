/** The examples in the documentation of kernels.ts; `deno task types` compiles those of all modules. */
import { assertEquals, assertMatch } from "@std/assert";
import { run } from "./support.ts";

Deno.test("examples: a kernel of one's own, and the library's", async () => {
  const { code, out, err } = await run([
    Deno.execPath(),
    ...["test", "--doc", "--no-check", "--allow-all", "kernels.ts"],
  ]);
  assertEquals(code, 0, out + err);
  assertMatch(out, /^499\.5$/m);
  assertMatch(out, /2 passed/);
});
