/** Users of the random counters never share bits. */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { saltedSeed, SALTS } from "../../src/kernels/salts.ts";

Deno.test("each user of the counters has a salt of its own, and shaders have none", async () => {
  const salts = Object.values(SALTS);
  assertEquals(new Set(salts).size, salts.length);
  // XOR with a number is one to one: the seeds of a run differ as the salts do.
  const users = Object.keys(SALTS) as (keyof typeof SALTS)[];
  for (const seed of [0, 42, 0xffffffff]) {
    assertEquals(new Set(users.map((user) => saltedSeed(seed, user))).size, salts.length);
  }
  const shaders = fromFileUrl(new URL("../../shaders", import.meta.url));
  for (const folder of ["misc", "optim", "quantise", "lib"]) {
    for await (const { name } of Deno.readDir(`${shaders}/${folder}`)) {
      const code = await Deno.readTextFile(`${shaders}/${folder}/${name}`);
      assertEquals(code.match(/seed \^.*/)?.[0], undefined, name);
    }
  }
});
