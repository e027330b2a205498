import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { freeBytes, isThere, statOf } from "../../src/files/stat.ts";
import { UserError } from "../../src/options/user_error.ts";

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("nothing is there: no such name, a file in place of a folder, a name that is too long", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "a file");
    await Deno.writeTextFile(file, "text");
    assertEquals((await statOf(file))?.size, 4);
    for (const absent of ["b", "a file/b", "b".repeat(5000)]) {
      assertEquals(await isThere(join(folder, absent)), false);
    }
    const df = new Deno.Command("df", { args: ["-B1", "--output=avail", folder] });
    const available = Number(new TextDecoder().decode((await df.output()).stdout).split("\n")[1]);
    // Others write meanwhile.
    assert(Math.abs(await freeBytes(folder) as number / available - 1) < 0.1);
  });
});

Deno.test({
  name: "what this user may not look at is not taken for absent",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0, // who may look at everything
  fn: async () => {
    await withFolder(async (folder) => {
      await Deno.mkdir(join(folder, "locked"), { mode: 0o000 });
      const path = join(folder, "locked", "model");
      await assertRejects(() => isThere(path), UserError, `${path}: permission denied`);
      await Deno.chmod(join(folder, "locked"), 0o700); // to be removed
    });
  },
});
